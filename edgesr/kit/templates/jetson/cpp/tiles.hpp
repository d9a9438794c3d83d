// A picture in tiles, as `edgesr upscale` cuts it: each is run with a margin around it, and only its inside is kept. Needs neither
// TensorRT nor CUDA.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "errors.hpp"

namespace kit {

constexpr int kDefaultOverlap = 32;
constexpr int kLargestSide = 1024;
constexpr int kAlignment = 96;
constexpr int kWholePicture = -1;  // as a radius: an output pixel sees all

// In pixels; written HxW.
struct Size {
    int height, width;

    bool operator==(const Size& other) const { return height == other.height && width == other.width; }
    std::string text() const { return std::to_string(height) + "x" + std::to_string(width); }
};

// What an engine takes: from the smallest to the largest height and width.
struct Sizes {
    Size minimum, maximum;

    bool fixed() const { return minimum == maximum; }
    bool takes(Size size) const {
        return minimum.height <= size.height && size.height <= maximum.height && minimum.width <= size.width &&
               size.width <= maximum.width;
    }
};

// Tiles of `tile` input pixels a side, each run with `overlap` more on every side.
struct Tiling {
    int tile, overlap;
};

// One tile along one axis: the network reads [start, stop), and [keep_start, keep_stop) is kept.
struct Span {
    int start, stop, keep_start, keep_stop;
};

// (C,H,W), row by row.
struct Planes {
    int channels, height, width;
    std::vector<float> values;

    Planes(int channels, int height, int width)
        : channels(channels), height(height), width(width), values(static_cast<std::size_t>(channels) * height * width) {}
    Size size() const { return {height, width}; }
    float* row(int channel, int y) { return values.data() + (static_cast<std::size_t>(channel) * height + y) * width; }
    const float* row(int channel, int y) const { return const_cast<Planes*>(this)->row(channel, y); }
};

// How to cut a picture, or nothing to run it whole. radius: how far an output pixel sees, or kWholePicture. tile, overlap: what was
// asked for.
inline std::optional<Tiling> choose_tiling(
    Size size, const Sizes& sizes, int radius, std::optional<int> tile = {}, std::optional<int> overlap = {}) {
    const int side = std::min({kLargestSide, sizes.maximum.height, sizes.maximum.width});
    const int margin = overlap.value_or(std::min(radius == kWholePicture ? kDefaultOverlap : radius, side / 4));
    const bool fits = sizes.fixed() ? size == sizes.maximum
                                    : size.height <= sizes.maximum.height && size.width <= sizes.maximum.width;
    const std::int64_t area = static_cast<std::int64_t>(size.height) * size.width;
    const bool small = tile ? std::max(size.height, size.width) <= *tile
                            : area <= static_cast<std::int64_t>(kLargestSide) * kLargestSide;
    const int usual = std::max(side - 2 * margin, 1);
    const int chosen = tile.value_or(usual < kAlignment ? usual : usual / kAlignment * kAlignment);
    if (chosen < 1 || margin < 0) {
        throw Error(
            Code::usage,
            "a tile of " + std::to_string(chosen) + " pixels with an overlap of " + std::to_string(margin) + " is none",
            "Ask for at least 1 and 0.");
    }
    if (fits && small) {
        return std::nullopt;
    }
    return Tiling{chosen, margin};
}

// Tiles along an axis of `length` pixels, each of at least `least` and at most `most` with its margins. Where `length` is below
// `least`, the one tile reaches beyond the picture.
inline std::vector<Span> spans(int length, int least, int most, const Tiling& tiling) {
    const std::int64_t wanted = static_cast<std::int64_t>(tiling.tile) + 2 * static_cast<std::int64_t>(tiling.overlap);
    const int window = static_cast<int>(std::min<std::int64_t>(std::max<std::int64_t>(wanted, least), most));
    const std::int64_t step = window - 2 * static_cast<std::int64_t>(tiling.overlap);
    if (step < 1) {
        throw Error(
            Code::usage,
            "an overlap of " + std::to_string(tiling.overlap) + " pixels on every side leaves nothing of a tile of " +
                std::to_string(window),
            "Ask for --overlap " + std::to_string((window - 1) / 2) + " at most.");
    }
    std::vector<int> starts{0};
    if (length > window) {
        for (std::int64_t next = step; next < length - 2 * tiling.overlap; next += step) {
            starts.push_back(static_cast<int>(next));
        }
    }
    starts.back() = std::max(0, std::min(starts.back(), length - least));
    std::vector<Span> result;
    int keep_start = 0;
    for (std::size_t index = 0; index < starts.size(); ++index) {
        const int stop = std::max(least, std::min(starts[index] + window, length));
        const int keep_stop = index + 1 < starts.size() ? (starts[index + 1] + stop) / 2 : length;
        result.push_back({starts[index], stop, keep_start, keep_stop});
        keep_start = keep_stop;
    }
    return result;
}

// The pixel that stands for pixel `index` on an axis of `count` pixels which is continued by reflection; the edge is not repeated.
inline int reflected(int index, int count) {
    if (count == 1) {
        return 0;
    }
    const int place = index % (2 * (count - 1));
    return place < count ? place : 2 * (count - 1) - place;
}

// What the network reads for one tile. Beyond the picture, to the right and below, it is continued by reflection.
inline Planes cut(const Planes& picture, const Span& row, const Span& column) {
    Planes tile(picture.channels, row.stop - row.start, column.stop - column.start);
    for (int channel = 0; channel < tile.channels; ++channel) {
        for (int y = 0; y < tile.height; ++y) {
            const float* source = picture.row(channel, reflected(row.start + y, picture.height));
            float* target = tile.row(channel, y);
            for (int x = 0; x < tile.width; ++x) {
                target[x] = source[reflected(column.start + x, picture.width)];
            }
        }
    }
    return tile;
}

// Copy the part of a tile's output (3,scale*H,scale*W) that is kept to its place in the whole result.
inline void paste(const float* output, Planes& result, const Span& row, const Span& column, int scale) {
    const std::size_t height = static_cast<std::size_t>(scale) * (row.stop - row.start);
    const std::size_t width = static_cast<std::size_t>(scale) * (column.stop - column.start);
    for (int channel = 0; channel < result.channels; ++channel) {
        for (int y = scale * row.keep_start; y < scale * row.keep_stop; ++y) {
            const float* source = output + (channel * height + (y - scale * row.start)) * width;
            std::copy(
                source + scale * (column.keep_start - column.start),
                source + scale * (column.keep_stop - column.start),
                result.row(channel, y) + scale * column.keep_start);
        }
    }
}

// (3,H,W) -> (3,sH,sW), whole or in tiles. The network has `scale()`, `sizes()` and `run(values, size)`, which gives a pointer to the
// output that is good until the next run. An engine of one size has its pictures continued by reflection; smaller ones than an
// engine of several sizes takes are refused.
template <class Network>
Planes upscaled(Network& network, const Planes& picture, const std::optional<Tiling>& tiling) {
    const Sizes sizes = network.sizes();
    const Size size = picture.size(), least = sizes.minimum, most = sizes.maximum;
    const int scale = network.scale();
    if (!sizes.fixed() && (size.height < least.height || size.width < least.width)) {
        throw Error(
            Code::error, size.text() + " (HxW) is too small: this engine takes " + least.text() + " and larger",
            "Take a larger picture.");
    }
    const Span all_rows{0, size.height, 0, size.height}, all_columns{0, size.width, 0, size.width};
    const auto rows = tiling ? spans(size.height, least.height, most.height, *tiling) : std::vector<Span>{all_rows};
    const auto columns = tiling ? spans(size.width, least.width, most.width, *tiling) : std::vector<Span>{all_columns};
    Planes result(picture.channels, scale * size.height, scale * size.width);
    for (const Span& row : rows) {
        for (const Span& column : columns) {
            const Planes tile = cut(picture, row, column);
            paste(network.run(tile.values.data(), tile.size()), result, row, column, scale);
        }
    }
    return result;
}

}  // namespace kit
