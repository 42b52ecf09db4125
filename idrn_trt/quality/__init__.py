"""How good a reconstruction is: PSNR and SSIM as the field and the paper define them."""
