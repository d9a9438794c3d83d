// Finding, compiling and loading the model.

import CoreML
import Foundation

/// Load this package's model, which build tools either compile or copy as it is.
func loadModel(computeUnits: MLComputeUnits) throws -> MLModel {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = computeUnits
@@FUNCTION@@    if let compiled = Bundle.module.url(forResource: Configuration.modelName, withExtension: "mlmodelc") {
        return try MLModel(contentsOf: compiled, configuration: configuration)
    }
    guard let package = Bundle.module.url(forResource: Configuration.modelName, withExtension: "mlpackage") else {
        throw UpscalerError.missingModel
    }
    let kept = try placeOfCompiledModel()
    if let model = try? MLModel(contentsOf: kept, configuration: configuration) {
        return model
    }
    // Not compiled yet, or for another version of the system. The form that waits is there from iOS 11 on, and deprecated in 27.
    let compiled = try MLModel.compileModel(at: package)
    try? FileManager.default.removeItem(at: kept)
    do {
        try FileManager.default.moveItem(at: compiled, to: kept)
    } catch {
        return try MLModel(contentsOf: compiled, configuration: configuration)
    }
    return try MLModel(contentsOf: kept, configuration: configuration)
}

/// Where the compiled model is kept between launches: under the hash of the model, so that another model is compiled anew.
private func placeOfCompiledModel() throws -> URL {
    let caches = try FileManager.default.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    return caches.appendingPathComponent("\(Configuration.modelName)-\(Configuration.modelHash).mlmodelc")
}
