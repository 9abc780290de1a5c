metadata(description="What the camera sees", version="1.2.0")

package("vision", opt=3)
