// Samples to the network's numbers and back, grey, and the enlarging of alpha: what `edgesr upscale` does to each pixel. Needs
// neither TensorRT nor CUDA. Compile it with -ffp-contract=off: a * b + c is rounded twice, as NumPy does it.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "errors.hpp"
#include "tiles.hpp"

namespace kit {

// Row by row, 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) samples a pixel, from 0 to `peak`, which is 255 or 65535.
struct Picture {
    int height, width, channels, peak;
    std::vector<std::uint16_t> samples;

    Picture(int height, int width, int channels, int peak)
        : height(height), width(width), channels(channels), peak(peak),
          samples(static_cast<std::size_t>(height) * width * channels) {}
    bool grey() const { return channels < 3; }
    bool alpha() const { return channels % 2 == 0; }
    std::uint16_t* pixel(int y, int x) { return samples.data() + (static_cast<std::size_t>(y) * width + x) * channels; }
    const std::uint16_t* pixel(int y, int x) const { return const_cast<Picture*>(this)->pixel(y, x); }
};

// 0 to `peak` -> [0,1].
inline float unit_of(std::uint16_t sample, int peak) {
    return static_cast<float>(sample) / static_cast<float>(peak);
}

// [0,1] -> the nearest of 0 to `peak`, halves up; values outside are clamped.
inline std::uint16_t sample_of(float value, int peak) {
    const float clamped = std::min(std::max(value, 0.0f), 1.0f);
    return static_cast<std::uint16_t>(std::floor(clamped * static_cast<float>(peak) + 0.5f));
}

// The luma of BT.601, as which a grey picture comes back from a network of colours.
inline float luma(float red, float green, float blue) {
    return 0.299f * red + 0.587f * green + 0.114f * blue;
}

// (3,H,W) in [0,1] without alpha; grey in all three channels.
inline Planes planes_of(const Picture& picture) {
    Planes planes(3, picture.height, picture.width);
    for (int channel = 0; channel < 3; ++channel) {
        for (int y = 0; y < picture.height; ++y) {
            float* row = planes.row(channel, y);
            for (int x = 0; x < picture.width; ++x) {
                row[x] = unit_of(picture.pixel(y, x)[picture.grey() ? 0 : channel], picture.peak);
            }
        }
    }
    return planes;
}

// Keys' cubic kernel with a = -0.5, zero from distance 2 on.
inline double cubic(double distance) {
    const double x = std::abs(distance);
    if (x <= 1) {
        return (1.5 * x - 2.5) * (x * x) + 1;
    }
    return x <= 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

// One enlarged pixel along an axis: the four pixels that it is made of, and how much of each.
struct Taps {
    int places[4];
    double weights[4];
};

// The taps of each of the scale * count pixels of an axis enlarged bicubically as MATLAB's `imresize` does it: pixel i covers
// [i, i + 1], and the axis is continued by reflection with the edge pixel repeated.
inline std::vector<Taps> taps(int count, int scale) {
    std::vector<Taps> result(static_cast<std::size_t>(count) * scale);
    for (std::size_t target = 0; target < result.size(); ++target) {
        Taps& each = result[target];
        const double centre = (static_cast<double>(target) + 0.5) / scale - 0.5;
        const int first = static_cast<int>(std::floor(centre)) - 1;
        double total = 0;
        for (int tap = 0; tap < 4; ++tap) {
            const int place = ((first + tap) % (2 * count) + 2 * count) % (2 * count);
            each.places[tap] = place < count ? place : 2 * count - 1 - place;
            each.weights[tap] = cubic(centre - (first + tap));
            total += each.weights[tap];
        }
        for (double& weight : each.weights) {
            weight /= total;
        }
    }
    return result;
}

// Put the alpha of `picture`, enlarged bicubically, into `result`, which is `scale` times as wide and high.
inline void enlarge_alpha(const Picture& picture, Picture& result, int scale) {
    const auto rows = taps(picture.height, scale), columns = taps(picture.width, scale);
    const int from = picture.channels - 1, to = result.channels - 1;
    std::vector<double> line(static_cast<std::size_t>(picture.width));
    for (int y = 0; y < result.height; ++y) {
        for (int x = 0; x < picture.width; ++x) {
            line[x] = 0;
            for (int tap = 0; tap < 4; ++tap) {
                line[x] += rows[y].weights[tap] * unit_of(picture.pixel(rows[y].places[tap], x)[from], picture.peak);
            }
        }
        for (int x = 0; x < result.width; ++x) {
            double value = 0;
            for (int tap = 0; tap < 4; ++tap) {
                value += columns[x].weights[tap] * line[columns[x].places[tap]];
            }
            result.pixel(y, x)[to] = sample_of(static_cast<float>(std::min(std::max(value, 0.0), 1.0)), picture.peak);
        }
    }
}

// The network's output (3,sH,sW) as a picture, grey, with alpha and of the depth that `source` has.
inline Picture picture_of(const Planes& output, const Picture& source, int scale) {
    for (const float value : output.values) {
        if (!std::isfinite(value)) {
            throw Error(
                Code::error, "the engine's result holds NaN or infinite values", "Build it again; if it stays so, take fp32.");
        }
    }
    Picture result(output.height, output.width, source.channels, source.peak);
    for (int y = 0; y < result.height; ++y) {
        const float *red = output.row(0, y), *green = output.row(1, y), *blue = output.row(2, y);
        for (int x = 0; x < result.width; ++x) {
            std::uint16_t* pixel = result.pixel(y, x);
            if (source.grey()) {
                pixel[0] = sample_of(luma(red[x], green[x], blue[x]), result.peak);
            } else {
                pixel[0] = sample_of(red[x], result.peak);
                pixel[1] = sample_of(green[x], result.peak);
                pixel[2] = sample_of(blue[x], result.peak);
            }
        }
    }
    if (source.alpha()) {
        enlarge_alpha(source, result, scale);
    }
    return result;
}

}  // namespace kit
