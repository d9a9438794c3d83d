// Which engines may be loaded. Needs neither TensorRT nor CUDA.

#pragma once

#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "errors.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace kit {

// What engines are bound to: TensorRT's version in three numbers, the GPU's name, and its compute capability as in 8.7.
struct Machine {
    std::string tensorrt, gpu, capability;
};

inline std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// 10.13.3.9 -> 10.13.3
inline std::string three_numbers(const std::string& version) {
    std::size_t dot = std::string::npos;
    for (int number = 0; number < 3; ++number) {
        dot = version.find('.', dot + 1);
        if (dot == std::string::npos) {
            break;
        }
    }
    return version.substr(0, dot);
}

// The bytes of an engine that may be loaded here. An engine is native code. Beside one that `edgesr build` made lies NAME.json: the
// engine has to be the very file that was built, from this kit's ONNX, by this TensorRT on this GPU. Without that file it has to be
// trusted.
inline std::string read_engine(const std::string& path, const std::string& onnx, const Machine& machine, bool trusted) {
    const auto data = read_file(path);
    if (!data || data->empty()) {
        throw Error(Code::error, "there is no engine " + path, "Build it first: README.md, step 1.");
    }
    const std::size_t dot = path.find_last_of("./");
    const std::string manifest = (dot != std::string::npos && path[dot] == '.' ? path.substr(0, dot) : path) + ".json";
    const auto text = read_file(manifest);
    if (!text && !trusted) {
        throw Error(
            Code::error, "there is no " + manifest + " that says who built " + path + ", and engines are native code",
            "If you built it yourself, add --trust.");
    }
    if (!text) {
        return *data;
    }
    const std::string again = "Build the engine again on this machine: README.md, step 1.";
    const auto check = [&](const std::string& name, const std::string& then, const std::string& now) {
        if (then != now) {
            throw Error(
                Code::error, path + " does not fit: of " + name + ", " + manifest + " says " + then + ", and here is " + now, again);
        }
    };
    Json built;
    try {
        built = parse_json(*text);
        for (const char* key : {"sha256", "onnx_sha256", "tensorrt", "gpu", "compute_capability"}) {
            built[key].text();
        }
    } catch (const Error& error) {
        throw Error(Code::error, manifest + " cannot be read: " + error.what(), again);
    }
    check("its bytes", built["sha256"].text(), Sha256::of(*data));
    check("its ONNX file", built["onnx_sha256"].text(), onnx);
    check("TensorRT", three_numbers(built["tensorrt"].text()), machine.tensorrt);
    check("the GPU", built["gpu"].text(), machine.gpu);
    check("the compute capability", built["compute_capability"].text(), machine.capability);
    return *data;
}

}  // namespace kit
