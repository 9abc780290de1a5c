"""Detect things in a frame, and name them in German: the labels are an image inside the image."""

import vfs

import vision

vfs.mount(vfs.VfsRom(memoryview(open("/rom/labels.romfs", "rb"))), "/labels")
with open("/labels/de/names.txt") as file:
    names = file.read().split()
for box, name in zip(vision.find(b""), names):
    print(name, box)
print("vision", vision.__version__)
