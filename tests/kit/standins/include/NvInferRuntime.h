// In place of TensorRT: the calls that the kit's engine.cpp makes, declared as TensorRT 10's documentation has them, for engines that
// repeat pixels. It shows how they are used, not that they work. An engine's file is words: the smallest height and width, the largest,
// the scale, and optionally `refuses MESSAGE`, `fails MESSAGE`, `half` or `names`.

#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

namespace nvinfer1 {

using char_t = char;
using AsciiChar = char_t;
enum class DataType : int32_t { kFLOAT = 0, kHALF = 1 };
enum class OptProfileSelector : int32_t { kMIN = 0, kOPT = 1, kMAX = 2 };

class Dims64 {
public:
    static constexpr int32_t MAX_DIMS{8};
    int32_t nbDims;
    int64_t d[MAX_DIMS];
};
using Dims = Dims64;

class Dims4 : public Dims {
public:
    Dims4(int64_t d0, int64_t d1, int64_t d2, int64_t d3) : Dims{4, {d0, d1, d2, d3}} {}
};

class ILogger {
public:
    enum class Severity : int32_t { kINTERNAL_ERROR = 0, kERROR = 1, kWARNING = 2, kINFO = 3, kVERBOSE = 4 };
    virtual void log(Severity severity, AsciiChar const* msg) noexcept = 0;
    virtual ~ILogger() = default;
};

struct Said {
    int64_t low[2]{}, high[2]{}, scale = 0;
    std::string word, rest;
};

class IExecutionContext {
public:
    IExecutionContext(Said said, ILogger& logger) : said_(said), logger_(logger) {}
    bool setInputShape(char const*, Dims const& dims) noexcept {
        dims_ = dims;
        return true;
    }
    Dims getTensorShape(char const*) const noexcept {
        return Dims4{dims_.d[0], dims_.d[1], said_.scale * dims_.d[2], said_.scale * dims_.d[3]};
    }
    bool setTensorAddress(char const* tensorName, void* data) noexcept {
        addresses_[tensorName] = data;
        return data != nullptr;
    }
    bool enqueueV3(cudaStream_t stream) noexcept {
        if (said_.word == "fails" || stream == nullptr) {
            logger_.log(ILogger::Severity::kERROR, said_.rest.c_str());
            return false;
        }
        const int64_t height = dims_.d[2], width = dims_.d[3], scale = said_.scale;
        const auto* from = static_cast<const float*>(addresses_["input"]);
        auto* to = static_cast<float*>(addresses_["output"]);
        for (int64_t row = 0; row < 3 * height * scale; ++row) {
            for (int64_t x = 0; x < width * scale; ++x) {
                *to++ = from[row / scale * width + x / scale];
            }
        }
        return true;
    }

private:
    Said said_;
    ILogger& logger_;
    Dims dims_{};
    std::map<std::string, void*> addresses_;
};

class ICudaEngine {
public:
    ICudaEngine(Said said, ILogger& logger) : said_(said), logger_(logger) {}
    int32_t getNbIOTensors() const noexcept { return 2; }
    char const* getIOTensorName(int32_t index) const noexcept {
        return index == 0 ? "input" : said_.word == "names" ? "other" : "output";
    }
    DataType getTensorDataType(char const*) const noexcept {
        return said_.word == "half" ? DataType::kHALF : DataType::kFLOAT;
    }
    Dims getTensorShape(char const*) const noexcept {
        const bool fixed = said_.low[0] == said_.high[0] && said_.low[1] == said_.high[1];
        return fixed ? Dims4{1, 3, said_.low[0], said_.low[1]} : Dims4{1, 3, -1, -1};
    }
    Dims getProfileShape(char const*, int32_t, OptProfileSelector select) const noexcept {
        const int64_t* side = select == OptProfileSelector::kMIN ? said_.low : said_.high;
        return Dims4{1, 3, side[0], side[1]};
    }
    IExecutionContext* createExecutionContext() noexcept { return new IExecutionContext(said_, logger_); }

private:
    Said said_;
    ILogger& logger_;
};

class IRuntime {
public:
    explicit IRuntime(ILogger& logger) : logger_(logger) {}
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept {
        logger_.log(ILogger::Severity::kWARNING, "this is worth no line");
        std::istringstream words(std::string(static_cast<const char*>(blob), size));
        Said said;
        words >> said.low[0] >> said.low[1] >> said.high[0] >> said.high[1] >> said.scale >> said.word;
        std::getline(words >> std::ws, said.rest);
        if (said.word == "refuses") {
            logger_.log(ILogger::Severity::kERROR, said.rest.c_str());
            return nullptr;
        }
        return new ICudaEngine(said, logger_);
    }

private:
    ILogger& logger_;
};

inline IRuntime* createInferRuntime(ILogger& logger) noexcept { return new IRuntime(logger); }

}  // namespace nvinfer1

extern "C" inline int32_t getInferLibVersion() noexcept { return 100300; }
