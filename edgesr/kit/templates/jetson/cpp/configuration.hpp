// What the artifact's manifest says of the network.

#pragma once

namespace kit {

constexpr char kModel[] = "@@MODEL@@";
constexpr char kOnnxSha256[] = "@@ONNX_SHA256@@";
constexpr char kInput[] = "@@INPUT@@";
constexpr char kOutput[] = "@@OUTPUT@@";
constexpr int kScale = @@SCALE@@;
constexpr int kRadius = @@RADIUS@@;  // how far an output pixel sees, in input pixels; -1: the whole picture

}  // namespace kit
