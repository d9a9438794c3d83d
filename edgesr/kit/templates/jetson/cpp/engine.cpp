// TensorRT's C++ API as versions 10 and 11 share it, and CUDA's runtime. Never compiled against TensorRT's own headers, nor run with it:
// see the README.

#include "engine.hpp"

#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include "checks.hpp"
#include "configuration.hpp"
#include "errors.hpp"

namespace kit {
namespace {

const char kSmaller[] = "Run smaller tiles (--tile), build an engine for a smaller size, or close other programs.";

void check(cudaError_t result, const std::string& what) {
    if (result == cudaErrorMemoryAllocation) {
        throw Error(Code::error, what + ": there is not enough memory", kSmaller);
    }
    if (result == cudaErrorNoDevice || result == cudaErrorInsufficientDriver) {
        throw Error(Code::missing, what + ": " + cudaGetErrorString(result), "Check the driver: nvidia-smi, or tegrastats.");
    }
    if (result != cudaSuccess) {
        throw Error(Code::error, what + ": " + cudaGetErrorString(result));
    }
}

// Keeps what TensorRT says went wrong, for one error instead of many lines. TensorRT calls it from any of its threads.
class Messages : public nvinfer1::ILogger {
public:
    void log(Severity severity, const nvinfer1::AsciiChar* message) noexcept override {
        if (severity == Severity::kERROR || severity == Severity::kINTERNAL_ERROR) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (first_.empty()) {
                first_ = message;
            }
            memory_ = memory_ || std::strstr(message, "emory") != nullptr;
        }
    }

    // An error that names the first thing that went wrong since the last one.
    Error failure(const std::string& what) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const std::string said = std::exchange(first_, "");
        return Error(
            Code::error, what + ": " + (said.empty() ? "TensorRT gave no reason" : said),
            std::exchange(memory_, false) ? kSmaller : "");
    }

private:
    std::mutex mutex_;
    std::string first_;
    bool memory_ = false;
};

// Memory of the device, or of the host where the device can copy from and to by itself.
class Buffer {
public:
    enum class Place { device, host };

    explicit Buffer(Place place) : place_(place) {}
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { free(); }

    void resize(std::size_t bytes) {
        free();
        const bool device = place_ == Place::device;
        check(
            device ? cudaMalloc(&data_, bytes) : cudaHostAlloc(&data_, bytes, cudaHostAllocDefault),
            std::to_string(bytes >> 20) + " MB of " + (device ? "the GPU's" : "pinned") + " memory");
        bytes_ = bytes;
    }
    void free() {
        if (data_ != nullptr) {
            place_ == Place::device ? cudaFree(data_) : cudaFreeHost(data_);
        }
        data_ = nullptr;
        bytes_ = 0;
    }
    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

private:
    Place place_;
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

struct Stream {
    cudaStream_t handle = nullptr;
    Stream() { check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "making a stream"); }
    ~Stream() { cudaStreamDestroy(handle); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
};

struct Event {
    cudaEvent_t handle = nullptr;
    Event() { check(cudaEventCreate(&handle), "making an event"); }
    ~Event() { cudaEventDestroy(handle); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
};

Machine this_machine() {
    int count = 0;
    check(cudaGetDeviceCount(&count), "looking for a GPU");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "asking the GPU what it is");
    const std::int32_t version = getInferLibVersion();  // of the library that is loaded, not of the header
    const auto text = [](std::int32_t number) { return std::to_string(number); };
    return {
        text(version / 10000) + "." + text(version / 100 % 100) + "." + text(version % 100), properties.name,
        text(properties.major) + "." + text(properties.minor)};
}

Size size_of(const nvinfer1::Dims& dims) {
    return dims.nbDims == 4 ? Size{static_cast<int>(dims.d[2]), static_cast<int>(dims.d[3])} : Size{0, 0};
}

bool dynamic(const nvinfer1::Dims& dims) {
    return std::any_of(dims.d, dims.d + std::max(dims.nbDims, 0), [](std::int64_t side) { return side < 0; });
}

}  // namespace

// Declared in the order in which it has to outlive what follows.
struct Engine::Parts {
    Messages messages;
    std::unique_ptr<nvinfer1::IRuntime> runtime;
    std::unique_ptr<nvinfer1::ICudaEngine> engine;
    std::unique_ptr<nvinfer1::IExecutionContext> context;
    Stream stream;
    Event begin, end;
    Buffer host_input{Buffer::Place::host}, host_output{Buffer::Place::host};
    Buffer device_input{Buffer::Place::device}, device_output{Buffer::Place::device};
    Sizes sizes{};
    Size size{0, 0};

    void check_tensors(const std::string& path) const;
    void read_sizes();
    void prepare(Size wanted);
};

void Engine::Parts::check_tensors(const std::string& path) const {
    const std::string hint = "It was not built from this kit's ONNX file.";
    for (std::int32_t index = 0; index < engine->getNbIOTensors(); ++index) {
        const std::string name = engine->getIOTensorName(index);
        if (name != kInput && name != kOutput) {
            throw Error(Code::error, path + " has a tensor " + name, hint);
        }
        if (engine->getTensorDataType(name.c_str()) != nvinfer1::DataType::kFLOAT) {
            throw Error(Code::error, path + " does not take and give float32", hint);
        }
    }
    if (engine->getNbIOTensors() != 2) {
        throw Error(Code::error, path + " has not one input and one output", hint);
    }
}

// What the engine's profile takes; one for a single size may have none. Of several the first is used.
void Engine::Parts::read_sizes() {
    const nvinfer1::Dims shape = engine->getTensorShape(kInput);
    const auto end = [&](nvinfer1::OptProfileSelector which) {
        return size_of(dynamic(shape) ? engine->getProfileShape(kInput, 0, which) : shape);
    };
    sizes = {end(nvinfer1::OptProfileSelector::kMIN), end(nvinfer1::OptProfileSelector::kMAX)};
}

// Buffers for pictures of this size; those that are large enough stay.
void Engine::Parts::prepare(Size wanted) {
    size = Size{0, 0};
    if (!sizes.takes(wanted)) {
        throw Error(
            Code::error,
            "this engine takes " + sizes.minimum.text() + " to " + sizes.maximum.text() + " (HxW), not " + wanted.text(),
            "Ask for another --tile, or build one for this size.");
    }
    if (!context->setInputShape(kInput, nvinfer1::Dims4{1, 3, wanted.height, wanted.width})) {
        throw messages.failure("the engine refuses " + wanted.text() + " (HxW)");
    }
    const nvinfer1::Dims output = context->getTensorShape(kOutput);
    const Size large{kScale * wanted.height, kScale * wanted.width};
    if (output.nbDims != 4 || output.d[0] != 1 || output.d[1] != 3 || !(size_of(output) == large)) {
        throw Error(Code::error, "the engine does not give " + large.text() + " (HxW)", "It was not built from this kit's ONNX file.");
    }
    const auto fit = [](Buffer& device, Buffer& host, const char* name, Size of, nvinfer1::IExecutionContext& context) {
        const std::size_t bytes = 3 * sizeof(float) * static_cast<std::size_t>(of.height) * of.width;
        if (device.bytes() < bytes) {
            device.resize(bytes);
            host.resize(bytes);
        }
        return context.setTensorAddress(name, device.data());
    };
    if (!fit(device_input, host_input, kInput, wanted, *context) || !fit(device_output, host_output, kOutput, large, *context)) {
        throw messages.failure("the engine refuses its memory");
    }
    size = wanted;
}

Engine::Engine(const std::string& path, bool trusted) {
    const Machine machine = this_machine();
    const std::string data = read_engine(path, kOnnxSha256, machine, trusted);
    parts_ = std::make_unique<Parts>();
    parts_->runtime.reset(nvinfer1::createInferRuntime(parts_->messages));
    if (!parts_->runtime) {
        throw parts_->messages.failure("TensorRT cannot start");
    }
    parts_->engine.reset(parts_->runtime->deserializeCudaEngine(data.data(), data.size()));
    if (!parts_->engine) {
        throw parts_->messages.failure(path + " is no engine for TensorRT " + machine.tensorrt + " and this GPU");
    }
    parts_->check_tensors(path);
    parts_->read_sizes();
    parts_->context.reset(parts_->engine->createExecutionContext());
    if (!parts_->context) {
        throw parts_->messages.failure(path + " cannot be run");
    }
}

Engine::~Engine() = default;

int Engine::scale() const { return kScale; }

Sizes Engine::sizes() const { return parts_->sizes; }

const float* Engine::run(const float* picture, Size size) {
    Parts& parts = *parts_;
    if (!(size == parts.size)) {
        parts.prepare(size);
    }
    const std::size_t pixels = static_cast<std::size_t>(size.height) * size.width;
    const std::size_t input = 3 * sizeof(float) * pixels, output = input * kScale * kScale;
    const std::string what = "running " + size.text() + " (HxW)";
    const cudaStream_t stream = parts.stream.handle;
    std::memcpy(parts.host_input.data(), picture, input);
    check(cudaMemcpyAsync(parts.device_input.data(), parts.host_input.data(), input, cudaMemcpyHostToDevice, stream), what);
    check(cudaEventRecord(parts.begin.handle, stream), what);
    if (!parts.context->enqueueV3(stream)) {
        throw parts.messages.failure(what + " failed");
    }
    check(cudaEventRecord(parts.end.handle, stream), what);
    check(cudaMemcpyAsync(parts.host_output.data(), parts.device_output.data(), output, cudaMemcpyDeviceToHost, stream), what);
    check(cudaStreamSynchronize(stream), what);
    return static_cast<const float*>(parts.host_output.data());
}

float Engine::milliseconds() const {
    float result = 0;
    check(cudaEventElapsedTime(&result, parts_->begin.handle, parts_->end.handle), "reading the time");
    return result;
}

}  // namespace kit
