// Pictures as PPM (RGB), PGM (grey) and PAM (either, with or without alpha), of 8 or 16 bits: the formats that need no library.
// Several may follow each other in one stream, as `ffmpeg -f image2pipe -c:v ppm` writes them.

#pragma once

#include <cstdint>
#include <istream>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "errors.hpp"
#include "pixels.hpp"

namespace kit {

constexpr std::int64_t kMostPixels = 89478485;  // what edgesr takes too

inline Error not_readable(const std::string& why) {
    return Error(
        Code::error, "this is no picture that is read here: " + why,
        "PPM, PGM and PAM of 8 or 16 bits are; python/upscale.py reads PNG, JPEG, WebP and TIFF.");
}

// The next word of a header, after white space and comments. One character after it is taken too.
inline std::string header_word(std::istream& in) {
    std::string word;
    for (int next = in.get(); next != std::istream::traits_type::eof(); next = in.get()) {
        const char letter = static_cast<char>(next);
        if (letter == '#' && word.empty()) {
            in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
        } else if (letter == ' ' || letter == '\n' || letter == '\t' || letter == '\r') {
            if (!word.empty()) {
                return word;
            }
        } else {
            word += letter;
        }
        if (word.size() > 32) {
            throw not_readable("its header is malformed");
        }
    }
    throw not_readable("it ends within its header");
}

inline int header_number(std::istream& in) {
    const std::string word = header_word(in);
    if (word.size() > 8 || word.find_first_not_of("0123456789") != std::string::npos) {
        throw not_readable("its header says " + word + " where a number has to be");
    }
    return std::stoi(word);
}

// An empty picture of the size and kind that the header says; nothing at the end of the stream.
inline std::optional<Picture> read_header(std::istream& in) {
    if (in.peek() == std::istream::traits_type::eof()) {
        return std::nullopt;
    }
    const std::string magic = header_word(in);
    int width = 0, height = 0, depth = 0, peak = 0;
    if (magic == "P5" || magic == "P6") {
        depth = magic == "P5" ? 1 : 3;
        width = header_number(in);
        height = header_number(in);
        peak = header_number(in);
    } else if (magic == "P7") {
        for (std::string word = header_word(in); word != "ENDHDR"; word = header_word(in)) {
            if (word == "TUPLTYPE") {
                header_word(in);  // the depth says it
            } else if (word == "WIDTH" || word == "HEIGHT" || word == "DEPTH" || word == "MAXVAL") {
                (word == "WIDTH" ? width : word == "HEIGHT" ? height : word == "DEPTH" ? depth : peak) = header_number(in);
            } else {
                throw not_readable("its header says " + word);
            }
        }
    } else {
        throw not_readable("it begins with neither P5, P6 nor P7");
    }
    if (width < 1 || height < 1 || depth < 1 || depth > 4 || static_cast<std::int64_t>(width) * height > kMostPixels) {
        throw not_readable("it has " + std::to_string(height) + "x" + std::to_string(width) + " pixels of " + std::to_string(depth));
    }
    if (peak != 255 && peak != 65535) {
        throw not_readable("its largest value is " + std::to_string(peak) + ", neither 255 nor 65535");
    }
    return Picture(height, width, depth, peak);
}

// The next picture of the stream; nothing at its end.
inline std::optional<Picture> read_picture(std::istream& in) {
    std::optional<Picture> picture = read_header(in);
    if (!picture) {
        return picture;
    }
    const std::size_t bytes = picture->peak > 255 ? 2 : 1;
    std::vector<char> raster(picture->samples.size() * bytes);
    in.read(raster.data(), static_cast<std::streamsize>(raster.size()));
    if (in.gcount() != static_cast<std::streamsize>(raster.size())) {
        throw not_readable("it ends too early");
    }
    for (std::size_t index = 0; index < picture->samples.size(); ++index) {
        const auto at = [&](std::size_t place) { return static_cast<unsigned char>(raster[place]); };
        picture->samples[index] =
            static_cast<std::uint16_t>(bytes == 1 ? at(index) : at(2 * index) << 8 | at(2 * index + 1));
    }
    return picture;
}

// Grey as PGM, RGB as PPM, with alpha as PAM.
inline void write_picture(std::ostream& out, const Picture& picture) {
    const std::string width = std::to_string(picture.width), height = std::to_string(picture.height);
    const std::string peak = std::to_string(picture.peak);
    if (picture.alpha()) {
        out << "P7\nWIDTH " << width << "\nHEIGHT " << height << "\nDEPTH " << picture.channels << "\nMAXVAL " << peak
            << "\nTUPLTYPE " << (picture.grey() ? "GRAYSCALE_ALPHA" : "RGB_ALPHA") << "\nENDHDR\n";
    } else {
        out << (picture.grey() ? "P5\n" : "P6\n") << width << " " << height << "\n" << peak << "\n";
    }
    std::vector<char> raster;
    raster.reserve(picture.samples.size() * 2);
    for (const std::uint16_t sample : picture.samples) {
        if (picture.peak > 255) {
            raster.push_back(static_cast<char>(sample >> 8));
        }
        raster.push_back(static_cast<char>(sample & 255));
    }
    out.write(raster.data(), static_cast<std::streamsize>(raster.size()));
}

}  // namespace kit
