// In place of CUDA's runtime: the calls that the kit's engine.cpp makes, on plain memory. Written from CUDA's documentation; it shows how
// they are used, not that they work. STANDIN_MEMORY is how many bytes the device has; STANDIN_CUDA=none takes it away.

#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
struct cudaDeviceProp {
    char name[256];
    int major, minor;
};
#define cudaStreamNonBlocking 1
#define cudaHostAllocDefault 0

namespace standin {
inline std::map<void*, std::size_t>& device() {
    static std::map<void*, std::size_t> memory;
    return memory;
}
inline bool on_device(const void* place, std::size_t bytes) {
    auto found = device().upper_bound(const_cast<void*>(place));
    return found != device().begin() && (--found)->first == place && bytes <= found->second;
}
}  // namespace standin

inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorNoDevice ? "no CUDA-capable device is detected" : "invalid argument";
}
inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return std::getenv("STANDIN_CUDA") ? cudaErrorNoDevice : cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    std::strcpy(properties->name, "Orin");
    properties->major = 8;
    properties->minor = 7;
    return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** place, std::size_t bytes) {
    std::size_t all = bytes;
    for (const auto& each : standin::device()) {
        all += each.second;
    }
    const char* most = std::getenv("STANDIN_MEMORY");
    if (most && all > std::strtoul(most, nullptr, 10)) {
        return cudaErrorMemoryAllocation;
    }
    *place = std::malloc(bytes);
    standin::device()[*place] = bytes;
    return cudaSuccess;
}
inline cudaError_t cudaFree(void* place) {
    standin::device().erase(place);
    std::free(place);
    return cudaSuccess;
}
inline cudaError_t cudaHostAlloc(void** place, std::size_t bytes, unsigned) {
    *place = std::malloc(bytes);
    return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* place) {
    std::free(place);
    return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const void* there = kind == cudaMemcpyHostToDevice ? to : from;
    if (!standin::on_device(there, bytes) || stream == nullptr) {
        return cudaErrorInvalidValue;
    }
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = static_cast<cudaStream_t>(std::malloc(1));
    return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    std::free(stream);
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = static_cast<cudaEvent_t>(std::malloc(1));
    return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
    std::free(event);
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = 1.5f;
    return cudaSuccess;
}
