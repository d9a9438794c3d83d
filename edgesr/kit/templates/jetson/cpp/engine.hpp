// An engine in TensorRT 10 or 11. Never compiled against TensorRT's own headers, nor run with it: see the README.

#pragma once

#include <memory>
#include <string>

#include "tiles.hpp"

namespace kit {

class Engine {
public:
    // Raises Error for a file that is missing, not trusted, or not for this machine.
    Engine(const std::string& path, bool trusted);
    ~Engine();

    int scale() const;
    Sizes sizes() const;
    // (3,H,W) -> (3,sH,sW), in memory that the next run uses again.
    const float* run(const float* picture, Size size);
    // What the GPU took for the last run.
    float milliseconds() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace kit
