/* Faces from a text file: a line for each, "FRAME X Y W H" in pixels, frames counted from 0 and in order. */
#ifndef IDRN_EXAMPLES_BOXES_H
#define IDRN_EXAMPLES_BOXES_H

#include <idrn.h>
#include <stdio.h>

typedef struct {
    FILE *file;
    unsigned long frame; /* of the box read ahead */
    idrn_box box;
    int at_end;
} box_reader;

static void read_ahead(box_reader *reader) {
    idrn_box *box = &reader->box;
    reader->at_end = fscanf(reader->file, "%lu %lf %lf %lf %lf", &reader->frame, &box->x_px, &box->y_px,
                            &box->w_px, &box->h_px) != 5;
}

/* Returns 0 when there is no such file. */
static int open_boxes(box_reader *reader, const char *path) {
    reader->file = fopen(path, "r");
    if (reader->file != NULL) {
        read_ahead(reader);
    }
    return reader->file != NULL;
}

/* The faces of that frame, at most IDRN_MAX_FACES; frames are asked for in order. */
static uint32_t boxes_of_frame(box_reader *reader, unsigned long frame, idrn_box *boxes) {
    uint32_t count = 0;
    for (; !reader->at_end && reader->frame <= frame; read_ahead(reader)) {
        if (reader->frame == frame && count < IDRN_MAX_FACES) {
            boxes[count++] = reader->box;
        }
    }
    return count;
}

#endif
