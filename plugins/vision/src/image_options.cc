#include "image_options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parameters.h"
#include "tensors.h"
#include "text.h"

namespace vision {

namespace {

// Pixels along an axis of the network input: a slip in a configuration shall not take memory.
constexpr int64_t kMaxSide = 16'384;

const std::vector<std::string> kNames = {"width",  "height",        "fit",       "padding",
                                         "align",  "interpolation", "fill",      "color",
                                         "layout", "datatype",      "scale",     "mean",
                                         "std",    "max_pixels",    "max_bytes", "reduced_decode"};

const std::vector<std::string> kFits = {"affine", "letterbox", "stretch"};
const std::vector<std::string> kDatatypeNames = {"FP32", "FP16", "UINT8"};
constexpr despina::Datatype kDatatypes[] = {despina::FP32, despina::FP16, despina::UINT8};

// That of the configured output, then that of the parameter.
despina::Datatype ReadDatatype(const despina::ModelSpec& spec, const Parameters& parameters) {
  const TensorSpecs outputs = spec.outputs();
  const auto place = Find(outputs, "TENSOR");
  if (!place) return kDatatypes[parameters.Choice("datatype", kDatatypeNames, 0)];
  const despina::Datatype configured = outputs[*place].datatype;
  const auto* found = std::find(std::begin(kDatatypes), std::end(kDatatypes), configured);
  if (found == std::end(kDatatypes)) {
    throw despina::InvalidArgument("model '" + std::string(spec.name()) + "': output 'TENSOR' is " +
                                   NameOf(configured) + ", it must be one of " +
                                   Joined(kDatatypeNames));
  }
  const auto index = static_cast<size_t>(found - std::begin(kDatatypes));
  const size_t chosen = parameters.Choice("datatype", kDatatypeNames, index);
  if (chosen != index) {
    throw parameters.Refusal("datatype", "is " + kDatatypeNames[chosen] +
                                             ", but output 'TENSOR' is " + NameOf(configured));
  }
  return configured;
}

Framing ReadFraming(const Parameters& parameters) {
  Framing framing;
  const size_t fit = parameters.Choice("fit", kFits, 0);
  framing.fit = static_cast<Fit>(fit);
  framing.padding = parameters.PositiveNumber("padding", framing.padding);
  framing.align = static_cast<Align>(parameters.Choice("align", {"center", "top-left"}, 0));
  const auto belongs_to = [&](const char* name, Fit its) {
    if (framing.fit == its || !parameters.Given(name)) return;
    throw parameters.Refusal(name, "is for fit = " + kFits[static_cast<size_t>(its)] +
                                       ", the model has fit = " + kFits[fit]);
  };
  belongs_to("padding", Fit::kAffine);
  belongs_to("align", Fit::kLetterbox);
  return framing;
}

// For UINT8, which carries raw pixels.
void RefuseNormalization(const Parameters& parameters, double scale,
                         const std::vector<double>& means, const std::vector<double>& deviations) {
  const auto check = [&](const char* name, const std::vector<double>& values, double otherwise) {
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == otherwise; })) return;
    throw parameters.Refusal(name, "has no meaning for UINT8, which carries raw pixels");
  };
  check("scale", {scale}, 1.0 / 255);
  check("mean", means, 0);
  check("std", deviations, 1);
}

// Of a parameter's value and the standard deviation, as the tensor's arithmetic takes it.
float Quotient(const Parameters& parameters, const char* name, double value, double deviation) {
  const double quotient = value / deviation;
  if (std::abs(quotient) <= std::numeric_limits<float>::max()) return static_cast<float>(quotient);
  throw parameters.Refusal(name, "divided by std is more than FP32 can hold");
}

TensorFormat ReadTensorFormat(const Parameters& parameters, despina::Datatype datatype) {
  TensorFormat format;
  format.color = static_cast<Color>(parameters.Choice("color", {"RGB", "BGR", "GRAY"}, 0));
  format.layout = static_cast<Layout>(parameters.Choice("layout", {"NCHW", "NHWC"}, 0));
  const size_t channels = format.channels();
  const double scale = parameters.PositiveNumber("scale", 1.0 / 255);
  const std::vector<double> means = parameters.Numbers("mean", 0, channels);
  const std::vector<double> deviations = parameters.PositiveNumbers("std", 1, channels);
  const bool raw = datatype == despina::UINT8;
  if (raw) RefuseNormalization(parameters, scale, means, deviations);
  for (size_t i = 0; i < channels; ++i) {
    format.gain[i] = raw ? 1 : Quotient(parameters, "scale", scale, deviations[i]);
    format.offset[i] = raw ? 0 : -Quotient(parameters, "mean", means[i], deviations[i]);
  }
  format.size.width = static_cast<int>(parameters.Integer("width", std::nullopt, 1, kMaxSide));
  format.size.height = static_cast<int>(parameters.Integer("height", std::nullopt, 1, kMaxSide));
  return format;
}

std::vector<int64_t> ShapeOf(const TensorFormat& format) {
  const auto channels = static_cast<int64_t>(format.channels());
  const int64_t width = format.size.width, height = format.size.height;
  if (format.layout == Layout::kChannelsFirst) return {channels, height, width};
  return {height, width, channels};
}

}  // namespace

ImageOptions ReadImageOptions(const despina::ModelSpec& spec) {
  const Parameters parameters(spec, kNames);
  ImageOptions options;
  options.datatype = ReadDatatype(spec, parameters);
  options.tensor = ReadTensorFormat(parameters, options.datatype);
  options.framing = ReadFraming(parameters);
  options.sampling.interpolation = static_cast<Interpolation>(
      parameters.Choice("interpolation", {"linear", "cubic", "area"}, 0));
  options.sampling.fill = static_cast<int>(parameters.Integer("fill", 0, 0, 255));
  options.limits.max_pixels =
      parameters.Integer("max_pixels", options.limits.max_pixels, 1, int64_t{1} << 30);
  options.limits.max_bytes = parameters.Integer("max_bytes", options.limits.max_bytes);
  options.reduced_decode = parameters.Boolean("reduced_decode", options.reduced_decode);
  return options;
}

despina::Signature SignatureOf(const despina::ModelSpec& spec, const ImageOptions& options) {
  const TensorSpecs inputs = {{"IMAGE", despina::BYTES, {1}}, {"BOX", despina::FP32, {4}, true}};
  const TensorSpecs outputs = {{"TENSOR", options.datatype, ShapeOf(options.tensor)},
                               {"INVERSE_TRANSFORM", despina::FP32, {2, 3}},
                               {"IMAGE_SIZE", despina::INT32, {2}}};
  return {Settle(spec, "input", spec.inputs(), inputs, {"IMAGE"}),
          Settle(spec, "output", spec.outputs(), outputs, {"TENSOR"})};
}

}  // namespace vision
