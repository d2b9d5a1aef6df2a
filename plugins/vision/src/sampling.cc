#include "sampling.h"

#include <algorithm>
#include <despina/tensor.hpp>
#include <vector>

#include "element.h"

namespace vision {

namespace {

constexpr size_t kChannels = Pixels::kChannels;

// What the samples of the image's rows and columns are made of, and where they go in the tensor.
struct Plan {
  Taps across;  // along the rows of the image
  Taps down;    // along its columns
  ptrdiff_t across_stride;
  ptrdiff_t down_stride;
  ptrdiff_t begin;
};

Plan MakePlan(const Pixels& pixels, const Transform& to_pixels, const Window& inside,
              Interpolation interpolation, const TensorFormat& format) {
  const auto taps = [&](const double(&row)[3], bool by_column, int length) {
    const Range range = by_column ? inside.columns : inside.rows;
    const double step = by_column ? row[0] : row[1];
    return MakeTaps(row[2] + range.begin * step, step, range.size(), length, interpolation);
  };
  // Where axes are swapped, a row of the image becomes a column of the tensor.
  const bool upright = to_pixels.m[0][0] != 0;
  return {taps(to_pixels.m[0], upright, pixels.width()),
          taps(to_pixels.m[1], !upright, pixels.height()),
          upright ? format.column_stride() : format.row_stride(),
          upright ? format.row_stride() : format.column_stride(),
          inside.rows.begin * format.row_stride() + inside.columns.begin * format.column_stride()};
}

// One row's worth of the image: the weighted sum of the rows that a sample is made of. The loops
// are those that the compiler vectorises.
void SumRows(const Pixels& pixels, const Taps& down, size_t sample, Range columns,
             std::vector<float>* sum) {
  const float* weights = down.weights_of(sample);
  float* __restrict to = sum->data();
  for (int k = 0; k < down.count; ++k) {
    const float weight = weights[k];
    if (k > 0 && weight == 0) continue;
    const uint8_t* __restrict from =
        pixels.row(down.first[sample] + k) + kChannels * static_cast<size_t>(columns.begin);
    const size_t size = sum->size();
    if (k == 0) {
      for (size_t i = 0; i < size; ++i) to[i] = weight * static_cast<float>(from[i]);
    } else {
      for (size_t i = 0; i < size; ++i) to[i] += weight * static_cast<float>(from[i]);
    }
  }
}

// The samples of such a row, as one plane for each colour. kCount: taps, where known.
template <int kCount>
void SampleRow(const std::vector<float>& row, int begin, const Taps& across, float* planes) {
  const size_t samples = across.samples();
  const int count = kCount > 0 ? kCount : across.count;
  for (size_t i = 0; i < samples; ++i) {
    const float* from = row.data() + kChannels * static_cast<size_t>(across.first[i] - begin);
    const float* weights = across.weights_of(i);
    float red = 0, green = 0, blue = 0;
    for (int k = 0; k < count; ++k, from += kChannels) {
      red += weights[k] * from[0];
      green += weights[k] * from[1];
      blue += weights[k] * from[2];
    }
    planes[i] = red;
    planes[samples + i] = green;
    planes[2 * samples + i] = blue;
  }
}

// The weights of BT.601. The result takes red's place.
void MakeGray(size_t samples, float* planes) {
  const float* green = planes + samples;
  const float* blue = green + samples;
  for (size_t i = 0; i < samples; ++i) {
    planes[i] = 0.299F * planes[i] + 0.587F * green[i] + 0.114F * blue[i];
  }
}

// Cubic weights reach beyond what a pixel can be.
inline float AsPixel(float value) { return std::min(std::max(value, 0.0F), 255.0F); }

template <class T>
void Normalize(const float* __restrict plane, size_t samples, float gain, float offset,
               ptrdiff_t stride, T* __restrict to) {
  if (stride == 1) {
    for (size_t i = 0; i < samples; ++i) to[i] = Element<T>(AsPixel(plane[i]) * gain + offset);
  } else {
    for (size_t i = 0; i < samples; ++i, to += stride) {
      *to = Element<T>(AsPixel(plane[i]) * gain + offset);
    }
  }
}

template <class T>
void Fill(int value, const TensorFormat& format, T* tensor) {
  for (size_t channel = 0; channel < format.channels(); ++channel) {
    const T element =
        Element<T>(static_cast<float>(value) * format.gain[channel] + format.offset[channel]);
    T* to = tensor + static_cast<ptrdiff_t>(channel) * format.channel_stride();
    if (format.layout == Layout::kChannelsFirst) {
      std::fill_n(to, format.plane(), element);
    } else {
      for (size_t i = 0; i < format.plane(); ++i, to += format.column_stride()) *to = element;
    }
  }
}

}  // namespace

template <class T>
void Draw(const Pixels& pixels, const Transform& to_pixels, const Window& inside,
          const Sampling& sampling, const TensorFormat& format, T* tensor) {
  if (inside.rows.size() < format.size.height || inside.columns.size() < format.size.width) {
    Fill(sampling.fill, format, tensor);
  }
  if (inside.rows.size() == 0 || inside.columns.size() == 0) return;
  const Plan plan = MakePlan(pixels, to_pixels, inside, sampling.interpolation, format);
  const Range columns = plan.across.pixels();
  const size_t samples = plan.across.samples();
  const auto sample_row = plan.across.count == 2 ? SampleRow<2> : SampleRow<0>;
  std::vector<float> row(kChannels * static_cast<size_t>(columns.size()));
  std::vector<float> planes(kChannels * samples);
  for (size_t i = 0; i < plan.down.samples(); ++i) {
    SumRows(pixels, plan.down, i, columns, &row);
    sample_row(row, columns.begin, plan.across, planes.data());
    if (format.color == Color::kGray) MakeGray(samples, planes.data());
    T* to = tensor + plan.begin + static_cast<ptrdiff_t>(i) * plan.down_stride;
    for (size_t channel = 0; channel < format.channels(); ++channel) {
      const size_t plane = format.color == Color::kBgr ? 2 - channel : channel;
      Normalize(planes.data() + plane * samples, samples, format.gain[channel],
                format.offset[channel], plan.across_stride,
                to + static_cast<ptrdiff_t>(channel) * format.channel_stride());
    }
  }
}

template void Draw(const Pixels&, const Transform&, const Window&, const Sampling&,
                   const TensorFormat&, float*);
template void Draw(const Pixels&, const Transform&, const Window&, const Sampling&,
                   const TensorFormat&, despina::Half*);
template void Draw(const Pixels&, const Transform&, const Window&, const Sampling&,
                   const TensorFormat&, uint8_t*);

}  // namespace vision
