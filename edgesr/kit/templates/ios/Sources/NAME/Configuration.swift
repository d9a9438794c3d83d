// What the export's manifest says of the model.

enum Configuration {
    /// The model's file in this package's resources, without its suffix.
    static let modelName = "@@MODEL_NAME@@"
    /// Of the model's files.
    static let modelHash = "@@MODEL_HASH@@"
    /// Of a model with a function for each of several sizes, the one for the size below.
    static let functionName: String? = @@FUNCTION@@
    static let inputName = "@@INPUT@@"
    static let outputName = "@@OUTPUT@@"
    static let scale = @@SCALE@@
    /// The size that the model is run at, in input pixels, margins included.
    static let tileWidth = @@TILE_WIDTH@@
    static let tileHeight = @@TILE_HEIGHT@@
    /// The margin on each side of a tile, in input pixels.
    static let overlap = @@OVERLAP@@
}
