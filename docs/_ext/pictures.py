"""Copy the pictures of the front page from the gallery to docs/_static, at a small size: `make pictures`."""

from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1]


def main():
    """Copy and compress the three pictures."""
    gallery, static = DOCS / "auto_examples" / "images", DOCS / "_static"
    photograph = Image.open(gallery / "sphx_glr_plot_photographs_003.png").convert(
        "L"
    )  # gray, as the photograph is
    photograph.save(static / "front-photograph.png", optimize=True)
    table = Image.open(gallery / "sphx_glr_plot_table_002.png").convert("RGB")
    table.quantize(64, dither=Image.Dither.NONE).save(
        static / "front-table.png", optimize=True
    )
    style = Image.open(gallery / "sphx_glr_plot_styles_005.png").convert("RGB")
    style.save(static / "front-style.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
