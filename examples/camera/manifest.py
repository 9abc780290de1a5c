metadata(description="Object detection for the camera", version="1.2.0")

package("vision", opt=3)
