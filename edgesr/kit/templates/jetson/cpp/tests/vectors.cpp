// The arithmetic against what edgesr's own Python code gives: vectors FILE. Names the kinds of vectors that differ.

#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "../checks.hpp"
#include "../json.hpp"
#include "../pixels.hpp"
#include "../sha256.hpp"
#include "../tiles.hpp"

namespace {

using kit::Json;
using kit::Picture;
using kit::Planes;
using kit::Size;
using kit::Sizes;
using kit::Tiling;

std::vector<int> numbers(const Json& list) {
    std::vector<int> result;
    for (const Json& item : list.items) {
        result.push_back(item.whole());
    }
    return result;
}

Size size_of(const Json& pair) { return {pair.items.at(0).whole(), pair.items.at(1).whole()}; }

std::optional<int> optional_of(const Json& value) {
    return value.kind == Json::Kind::null ? std::nullopt : std::optional<int>(value.whole());
}

float float_of(const Json& value) { return static_cast<float>(value.number); }

// A network whose result depends on the place in the tile and on the whole tile: an output pixel (x, y) is the input pixel below it,
// plus the one opposite of that in the tile, plus 3x + 5y, modulo 256.
struct Planted {
    Sizes taken;
    int factor;
    std::vector<float> output{};

    Sizes sizes() const { return taken; }
    int scale() const { return factor; }
    const float* run(const float* picture, Size size) {
        const int height = factor * size.height, width = factor * size.width;
        output.clear();
        for (int channel = 0; channel < 3; ++channel) {
            const float* plane = picture + channel * size.height * size.width;
            for (int y = 0; y < height; ++y) {
                for (int x = 0; x < width; ++x) {
                    const int below = y / factor * size.width + x / factor;
                    const float sum = plane[below] + plane[size.height * size.width - 1 - below];
                    output.push_back(static_cast<float>((std::lround(sum * 255) + 3 * x + 5 * y) % 256) / 255);
                }
            }
        }
        return output.data();
    }
};

bool spans_agree(const Json& vector, int least, int most, const Tiling& tiling) {
    std::vector<int> starts, stops, keep_starts, keep_stops;
    for (const kit::Span& span : kit::spans(vector["length"].whole(), least, most, tiling)) {
        starts.push_back(span.start);
        stops.push_back(span.stop);
        keep_starts.push_back(span.keep_start);
        keep_stops.push_back(span.keep_stop);
    }
    return starts == numbers(vector["starts"]) && keep_starts == numbers(vector["keepStarts"]) &&
           keep_stops == numbers(vector["keepStops"]) && (!vector.members.count("stops") || stops == numbers(vector["stops"]));
}

// Of an engine of one size.
bool window_agrees(const Json& vector) {
    const int window = vector["window"].whole();
    return spans_agree(vector, window, window, {window, vector["overlap"].whole()});
}

bool range_agrees(const Json& vector) {
    return spans_agree(
        vector, vector["least"].whole(), vector["most"].whole(), {vector["tile"].whole(), vector["overlap"].whole()});
}

bool plan_agrees(const Json& vector) {
    const Sizes sizes{size_of(vector["minimum"]), size_of(vector["maximum"])};
    const auto tiling = kit::choose_tiling(
        size_of(vector["size"]), sizes, optional_of(vector["radius"]).value_or(kit::kWholePicture), optional_of(vector["askedTile"]),
        optional_of(vector["askedOverlap"]));
    const auto tile = optional_of(vector["tile"]);
    return tiling.has_value() == tile.has_value() &&
           (!tiling || (tiling->tile == *tile && tiling->overlap == vector["overlap"].whole()));
}

bool reflection_agrees(const Json& vector) {
    std::vector<int> places;
    for (std::size_t index = 0; index < vector["places"].items.size(); ++index) {
        places.push_back(kit::reflected(static_cast<int>(index), vector["count"].whole()));
    }
    return places == numbers(vector["places"]);
}

bool sample_agrees(const Json& vector) {
    const float value = float_of(vector["value"]);
    return kit::sample_of(value, 255) == vector["sample"].whole() &&
           (!vector.members.count("deep") || kit::sample_of(value, 65535) == vector["deep"].whole());
}

bool luma_agrees(const Json& vector) {
    const auto unit = [&](const char* name) { return kit::unit_of(static_cast<std::uint16_t>(vector[name].whole()), 255); };
    return kit::sample_of(kit::luma(unit("red"), unit("green"), unit("blue")), 255) == vector["luma"].whole();
}

bool grey_agrees(const Json& vector) {
    const float luma = kit::luma(float_of(vector["red"]), float_of(vector["green"]), float_of(vector["blue"]));
    return kit::sample_of(luma, 255) == vector["sample"].whole() && kit::sample_of(luma, 65535) == vector["deep"].whole();
}

bool alpha_agrees(const Json& vector) {
    const int scale = vector["scale"].whole(), peak = vector.members.count("peak") ? vector["peak"].whole() : 255;
    Picture picture(vector["height"].whole(), vector["width"].whole(), 2, peak);
    const std::vector<int> alpha = numbers(vector["alpha"]), enlarged = numbers(vector["enlarged"]);
    for (std::size_t index = 0; index < alpha.size(); ++index) {
        picture.samples[2 * index + 1] = static_cast<std::uint16_t>(alpha[index]);
    }
    Picture result(scale * picture.height, scale * picture.width, 2, peak);
    kit::enlarge_alpha(picture, result, scale);
    bool same = result.samples.size() == 2 * enlarged.size();
    for (std::size_t index = 0; same && index < enlarged.size(); ++index) {
        same = result.samples[2 * index + 1] == enlarged[index];
    }
    return same;
}

bool mosaic_agrees(const Json& vector, Sizes sizes, const Tiling& tiling) {
    Planted network{sizes, vector["scale"].whole()};
    Picture picture(vector["height"].whole(), vector["width"].whole(), 3, 255);
    const std::vector<int> samples = numbers(vector["samples"]), result = numbers(vector["result"]);
    picture.samples.assign(samples.begin(), samples.end());
    const Planes output = kit::upscaled(network, kit::planes_of(picture), tiling);
    const Picture large = kit::picture_of(output, picture, network.factor);
    return std::vector<int>(large.samples.begin(), large.samples.end()) == result;
}

bool fixed_mosaic_agrees(const Json& vector) {
    const Size tile{vector["tileHeight"].whole(), vector["tileWidth"].whole()};
    return mosaic_agrees(vector, {tile, tile}, {1, vector["overlap"].whole()});
}

bool range_mosaic_agrees(const Json& vector) {
    return mosaic_agrees(
        vector, {size_of(vector["minimum"]), size_of(vector["maximum"])}, {vector["tile"].whole(), vector["overlap"].whole()});
}

// How many vectors of a kind differ; says so.
int differing(const Json& vectors, const std::string& kind, const std::function<bool(const Json&)>& agrees) {
    const std::vector<Json>& all = vectors[kind].items;
    int differ = all.empty() ? 1 : 0;
    for (const Json& vector : all) {
        differ += agrees(vector) ? 0 : 1;
    }
    std::cout << kind << (differ == 0 ? " agree: " : " DIFFER: ") << (differ == 0 ? all.size() : differ) << std::endl;
    return differ;
}

}  // namespace

int main(int count, char** words) {
    try {
        const auto text = kit::read_file(count > 1 ? words[1] : "vectors.json");
        if (!text) {
            std::cerr << "vectors FILE: there is no such file\n";
            return 2;
        }
        const Json vectors = kit::parse_json(*text);
        const bool hashes = kit::Sha256::of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        std::cout << "sha256" << (hashes ? " agree: 1" : " DIFFER: 1") << std::endl;
        int differ = hashes ? 0 : 1;
        differ += differing(vectors, "spans", window_agrees);
        differ += differing(vectors, "ranges", range_agrees);
        differ += differing(vectors, "plans", plan_agrees);
        differ += differing(vectors, "reflections", reflection_agrees);
        differ += differing(vectors, "samples", sample_agrees);
        differ += differing(vectors, "deepSamples", sample_agrees);
        differ += differing(vectors, "lumas", luma_agrees);
        differ += differing(vectors, "greys", grey_agrees);
        differ += differing(vectors, "alphas", alpha_agrees);
        differ += differing(vectors, "deepAlphas", alpha_agrees);
        differ += differing(vectors, "mosaics", fixed_mosaic_agrees);
        differ += differing(vectors, "rangeMosaics", range_mosaic_agrees);
        return differ == 0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "Error: " << error.what() << "\n";
        return 1;
    }
}
