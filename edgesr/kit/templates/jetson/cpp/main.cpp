// upscale ENGINE IN OUT: enlarge a picture, or a stream of pictures, on this machine's GPU.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "configuration.hpp"
#include "errors.hpp"
#include "netpbm.hpp"
#include "pixels.hpp"
#include "tiles.hpp"

#ifndef KIT_ENGINE  // the tests put another one in its place
#define KIT_ENGINE "engine.hpp"
#endif
#include KIT_ENGINE

namespace {

using kit::Code;
using kit::Error;

const char kUsage[] =
    "upscale ENGINE IN OUT [--tile N] [--overlap N] [--trust]\n\n"
    "IN and OUT are PPM, PGM or PAM pictures of 8 or 16 bits; - is standard input or output, for a stream of pictures.\n"
    "--tile, --overlap  cut into tiles of so many input pixels, with so large a margin around each\n"
    "--trust            load an engine that has no NAME.json of `edgesr build`\n";

struct Asked {
    std::vector<std::string> places;
    std::optional<int> tile, overlap;
    bool trusted = false;
};

int number_of(const std::string& word) {
    if (word.empty() || word.size() > 6 || word.find_first_not_of("0123456789") != std::string::npos) {
        throw Error(Code::usage, "'" + word + "' is no number of pixels", "As in --tile 256.");
    }
    return std::stoi(word);
}

Asked parse(const std::vector<std::string>& words) {
    Asked asked;
    for (std::size_t index = 0; index < words.size(); ++index) {
        const std::string& word = words[index];
        if (word == "--trust") {
            asked.trusted = true;
        } else if (word == "--tile" || word == "--overlap") {
            (word == "--tile" ? asked.tile : asked.overlap) = number_of(++index < words.size() ? words[index] : "");
        } else if (word.size() > 1 && word[0] == '-') {
            throw Error(Code::usage, "there is no option " + word, "upscale --help names them.");
        } else {
            asked.places.push_back(word);
        }
    }
    if (asked.places.size() != 3) {
        throw Error(Code::usage, "an engine, a picture and a place for the result are needed", "upscale --help says more.");
    }
    if (asked.places[1] != "-" && std::filesystem::exists(asked.places[2]) &&
        std::filesystem::equivalent(asked.places[1], asked.places[2])) {
        throw Error(Code::usage, asked.places[2] + " is the picture itself, which would be lost", "Name another place.");
    }
    return asked;
}

// The result's file while it is not whole.
std::atomic<const char*> unfinished{nullptr};

// For signals: it does only what is allowed there. A handler that sets a flag would not end a read that waits for a picture.
extern "C" void interrupted(int) {
    if (const char* part = unfinished) {
        unlink(part);
    }
    const char said[] = "Interrupted; no half picture was left.\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, said, sizeof said - 1);
    _exit(130);
}

void heed_interrupts() {
    for (const int number : {SIGINT, SIGTERM}) {
        if (std::signal(number, interrupted) == SIG_IGN) {  // as a shell starts what is to run in the background
            std::signal(number, SIG_IGN);
        }
    }
}

// The result's file, under another name until it is whole; what is not finished goes. Pipes and devices are written to as they are.
class Whole {
public:
    explicit Whole(const std::string& path)
        : path_(path), part_(std::filesystem::exists(path) && !std::filesystem::is_regular_file(path) ? "" : path + ".part") {
        unfinished = part_.empty() ? nullptr : part_.c_str();
        file_.open(part_.empty() ? path_ : part_, std::ios::binary);
        if (!file_) {
            unfinished = nullptr;
            throw Error(Code::error, path + " cannot be written", "Name a folder that is there and that you may write to.");
        }
    }
    ~Whole() {
        std::error_code ignored;
        if (!part_.empty()) {
            std::filesystem::remove(part_, ignored);
        }
        unfinished = nullptr;
    }
    Whole(const Whole&) = delete;
    Whole& operator=(const Whole&) = delete;

    std::ostream& stream() { return file_; }
    void finish() {
        file_.close();
        std::error_code failed;
        if (file_ && !part_.empty()) {
            std::filesystem::rename(part_, path_, failed);
        }
        if (!file_ || failed) {
            throw Error(Code::error, path_ + " cannot be written", "Free some space, or name another place.");
        }
    }

private:
    std::string path_, part_;
    std::ofstream file_;
};

// Every picture of `in`, enlarged, to `out`; each is told of on standard error. Returns how many there were.
int upscale(kit::Engine& engine, const Asked& asked, std::istream& in, std::ostream& out) {
    int count = 0;
    while (const std::optional<kit::Picture> picture = kit::read_picture(in)) {
        const kit::Size size{picture->height, picture->width};
        const auto tiling = kit::choose_tiling(size, engine.sizes(), kit::kRadius, asked.tile, asked.overlap);
        const auto begin = std::chrono::steady_clock::now();
        const kit::Planes output = kit::upscaled(engine, kit::planes_of(*picture), tiling);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
        kit::write_picture(out, kit::picture_of(output, *picture, engine.scale()));
        if (!out.flush()) {
            throw Error(Code::error, asked.places[2] + " cannot be written", "Free some space, or name another place.");
        }
        ++count;
        std::cerr << size.text() << " to " << output.size().text() << " (HxW) in " << seconds.count() << " s, "
                  << (tiling ? "in tiles" : "whole") << ", the last run " << engine.milliseconds() << " ms on the GPU\n";
    }
    return count;
}

void run(const Asked& asked) {
    const std::string &source = asked.places[1], &destination = asked.places[2];
    std::ifstream file;
    if (source != "-") {
        file.open(source, std::ios::binary);
        if (!file || std::filesystem::is_directory(source)) {
            throw Error(Code::error, "there is no picture " + source, "Check the name.");
        }
    }
    std::istream& in = source == "-" ? std::cin : file;
    kit::Engine engine(asked.places[0], asked.trusted);
    int count = 0;
    if (destination == "-") {
        count = upscale(engine, asked, in, std::cout);
    } else {
        Whole result(destination);
        count = upscale(engine, asked, in, result.stream());
        if (count > 0) {
            result.finish();
        }
    }
    if (count == 0) {
        throw Error(Code::error, source + " is empty", "Check the program that writes it.");
    }
}

}  // namespace

int main(int count, char** words) {
    try {
        const std::vector<std::string> all(words + 1, words + count);
        if (!all.empty() && (all[0] == "--help" || all[0] == "-h")) {
            std::cout << kUsage;
            return 0;
        }
        heed_interrupts();
        run(parse(all));
        return 0;
    } catch (const Error& error) {
        std::cerr << "Error: " << error.what() << "\n";
        return error.exit_code();
    } catch (const std::bad_alloc&) {
        std::cerr << "Error: there is not enough memory for this picture. Cut it into parts first.\n";
    } catch (const std::exception& error) {
        std::cerr << "Error: " << error.what() << "\n";
    }
    return 1;
}
