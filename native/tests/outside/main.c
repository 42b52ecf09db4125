/* A program of somebody else's: one black window through the network. */
#include <idrn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    static uint8_t small[32 * 32 * 3], large[128 * 128 * 3];
    const idrn_image in = {small, 32, 32, sizeof(small) / 32, IDRN_RGB};
    const idrn_image out = {large, 128, 128, sizeof(large) / 128, IDRN_RGB};
    idrn_engine *engine = NULL;
    idrn_status status = argc == 2 ? idrn_open(argv[1], NULL, &engine) : IDRN_ERROR_ARGUMENT;
    if (status == IDRN_OK) {
        status = idrn_run(engine, &in, 1, &out);
    }
    if (status != IDRN_OK) {
        fprintf(stderr, "%s\n", idrn_last_error());
    }
    idrn_close(engine);
    return (int)status;
}
