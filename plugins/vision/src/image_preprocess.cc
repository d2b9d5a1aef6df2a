// Backend `image_preprocess`: encoded images in, the input tensor of a network out. The README says
// what its tensors and parameters mean.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <despina/backend.hpp>
#include <new>
#include <optional>
#include <string>

#include "decode.h"
#include "geometry.h"
#include "image_options.h"
#include "sampling.h"
#include "tensors.h"

namespace vision {

namespace {

// Of a box. Beyond it, a float no longer tells one pixel from the next.
constexpr float kMaxCoordinate = 1 << 24;

// Of pixels, that an instance holds on to between two requests: 16 megapixels.
constexpr size_t kKeptBytes = size_t{48} << 20;

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : options(ReadImageOptions(spec)),
        tensors(SignatureOf(spec, options)),
        batching(spec.max_batch_size() > 0),
        image(*Find(tensors.inputs, "IMAGE")),
        box(Find(tensors.inputs, "BOX")) {}
  despina::Signature signature() const { return tensors; }

  const ImageOptions options;
  const despina::Signature tensors;
  const bool batching;
  const uint32_t image;               // its place among the inputs
  const std::optional<uint32_t> box;  // likewise
};

// Throws despina::Error for values that are no box.
Box CheckedBox(const float* values) {
  char shown[128];
  std::snprintf(shown, sizeof shown, "BOX is [%g, %g, %g, %g]: ", values[0], values[1], values[2],
                values[3]);
  // Written so that a NaN fails it.
  const auto possible = [](float value) { return std::abs(value) <= kMaxCoordinate; };
  if (!std::all_of(values, values + 4, possible)) {
    throw despina::InvalidArgument(std::string(shown) + "each must be a number of at most " +
                                   std::to_string(static_cast<int>(kMaxCoordinate)));
  }
  if (values[2] <= 0 || values[3] <= 0) {
    throw despina::InvalidArgument(std::string(shown) + "width and height must be greater than 0");
  }
  return {values[0], values[1], values[2], values[3]};
}

// One image as it will be shown: its header is accepted, nothing is decoded yet.
class Picture {
 public:
  // Throws ImageError for an image that is refused.
  Picture(Bytes data, const std::optional<Box>& wanted, const ImageOptions& options)
      : options_(options), data_(data), header_(ReadHeader(data, options.limits)) {
    const auto [width, height] = header_.upright_size();
    const Box image{0, 0, static_cast<double>(width), static_cast<double>(height)};
    Framing framing = options.framing;
    if (!wanted) framing.padding = 1;  // the whole image is not enlarged
    const Box box = wanted.value_or(image);
    region_ = RegionToInput(box, framing, options.tensor.size);
    visible_ = framing.fit == Fit::kLetterbox ? Intersection(image, box) : image;
    inverse_ = InverseTransform(region_, options.tensor.size);
  }

  // Fills the network input, by way of the pixels, whose memory is lent. Throws ImageError for an
  // image that cannot be decoded.
  template <class T>
  void DrawTo(T* tensor, Pixels* pixels) const {
    const int reduction = options_.reduced_decode ? ReductionFor(header_, Step()) : 1;
    Decode(data_, header_, reduction, pixels);
    const Transform to_pixels =
        UprightToStored(header_.orientation, {header_.width, header_.height}, reduction);
    Draw(*pixels, Compose(to_pixels, inverse_),
         PixelsInside(visible_, region_, options_.tensor.size), options_.sampling, options_.tensor,
         tensor);
  }

  void WriteInverseTransform(float* to) const {
    for (const auto& row : inverse_.m) {
      to = std::transform(row, row + 3, to, [](double v) { return static_cast<float>(v); });
    }
  }

  void WriteSize(int32_t* to) const {
    const auto [width, height] = header_.upright_size();
    to[0] = width;
    to[1] = height;
  }

 private:
  // The smallest distance of two samples, in pixels of the image.
  double Step() const {
    return std::min(region_.width / options_.tensor.size.width,
                    region_.height / options_.tensor.size.height);
  }

  const ImageOptions& options_;
  const Bytes data_;
  const ImageHeader header_;
  Box region_;
  Box visible_;
  Transform inverse_{};
};

// The memory of one request's outputs; what the model does not have is null.
class Outputs {
 public:
  Outputs(const despina::Request& request, const Model& model)
      : elements_(model.options.tensor.elements()) {
    for (uint32_t i = 0; i < model.tensors.outputs.size(); ++i) {
      const despina::TensorSpec& spec = model.tensors.outputs[i];
      std::vector<int64_t> dims = spec.shape;
      if (model.batching) dims.insert(dims.begin(), static_cast<int64_t>(request.rows()));
      const despina::Shape shape(dims.data(), dims.size());
      if (spec.name == "INVERSE_TRANSFORM") {
        inverse_ = request.allocate<float>(i, shape).data();
      } else if (spec.name == "IMAGE_SIZE") {
        size_ = request.allocate<int32_t>(i, shape).data();
      } else if (spec.datatype == despina::FP32) {
        fp32_ = request.allocate<float>(i, shape).data();
      } else if (spec.datatype == despina::FP16) {
        fp16_ = request.allocate<despina::Half>(i, shape).data();
      } else {
        uint8_ = request.allocate<uint8_t>(i, shape).data();
      }
    }
  }

  void Write(const Picture& picture, size_t row, Pixels* pixels) const {
    if (fp32_ != nullptr) picture.DrawTo(fp32_ + row * elements_, pixels);
    if (fp16_ != nullptr) picture.DrawTo(fp16_ + row * elements_, pixels);
    if (uint8_ != nullptr) picture.DrawTo(uint8_ + row * elements_, pixels);
    if (inverse_ != nullptr) picture.WriteInverseTransform(inverse_ + row * 6);
    if (size_ != nullptr) picture.WriteSize(size_ + row * 2);
  }

 private:
  const size_t elements_;  // of the network input, in one row
  float* fp32_ = nullptr;
  despina::Half* fp16_ = nullptr;
  uint8_t* uint8_ = nullptr;
  float* inverse_ = nullptr;
  int32_t* size_ = nullptr;
};

class Instance {
 public:
  Instance(Model& model, const despina::Placement&) : model_(model) {}

  // A request with a bad image or box fails alone.
  void execute(despina::Batch& batch) {
    const float* box = nullptr;  // of the next request's first row
    if (model_.box) {
      const auto given = batch.gather(*model_.box);
      if (given) box = despina::TensorView<const float>(*given).data();
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      const despina::Request request = batch[i];
      const float* boxes = box;
      if (box != nullptr) box += 4 * request.rows();
      try {
        if (request.cancelled()) {
          throw despina::Error(DESPINA_CANCELLED, "the request was cancelled");
        }
        Answer(request, boxes);
        request.complete();
      } catch (const despina::Error& error) {
        request.fail(error);
      } catch (const std::bad_alloc&) {
        request.fail({DESPINA_RESOURCE_EXHAUSTED, "out of memory"});
      }
    }
    pixels_.KeepAtMost(kKeptBytes);
  }

 private:
  void Answer(const despina::Request& request, const float* boxes) {
    const auto images = request.input<despina::Text>(model_.image);
    const Outputs outputs(request, model_);
    for (size_t row = 0; row < images.size(); ++row) {
      try {
        std::optional<Box> box;
        if (boxes != nullptr) box = CheckedBox(boxes + 4 * row);
        outputs.Write(Picture(Bytes(images[row]), box, model_.options), row, &pixels_);
      } catch (const ImageError& error) {
        throw Refusal(row, images.size(), std::string("IMAGE ") + error.what());
      } catch (const despina::Error& error) {
        throw Refusal(row, images.size(), error.what());
      }
    }
  }

  static despina::Error Refusal(size_t row, size_t rows, const std::string& reason) {
    const std::string where = rows > 1 ? "row " + std::to_string(row) + ": " : "";
    return despina::InvalidArgument(where + reason);
  }

  const Model& model_;
  Pixels pixels_;
};

}  // namespace

}  // namespace vision

DESPINA_BACKEND(image_preprocess, vision::Model, vision::Instance)
