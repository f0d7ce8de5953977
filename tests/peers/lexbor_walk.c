/* Parses every file of a folder with lexbor and walks its tree, writing "<tag>" and text into a buffer.
 *
 * lexbor_walk FOLDER: prints the bytes of HTML, the CPU seconds of one pass over all files, and the bytes written.
 * The document is used again for each file, which is lexbor's fastest way. Files are read before the clock starts.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lexbor/dom/dom.h>
#include <lexbor/html/html.h>

typedef struct {
    unsigned char *bytes;
    size_t length;
} text_t;

static text_t out;
static size_t out_capacity;

static void put(const unsigned char *bytes, size_t length) {
    if (out.length + length > out_capacity) {
        out_capacity = 2 * (out.length + length);
        out.bytes = realloc(out.bytes, out_capacity);
    }
    memcpy(out.bytes + out.length, bytes, length);
    out.length += length;
}

static void visit(lxb_dom_node_t *node) {
    size_t length;
    if (node->type == LXB_DOM_NODE_TYPE_ELEMENT) {
        const lxb_char_t *name = lxb_dom_element_local_name(lxb_dom_interface_element(node), &length);
        put((const unsigned char *) "<", 1);
        put(name, length);
        put((const unsigned char *) ">", 1);
    } else if (node->type == LXB_DOM_NODE_TYPE_TEXT) {
        const lexbor_str_t *text = &lxb_dom_interface_character_data(node)->data;
        put(text->data, text->length);
    }
}

static void walk(lxb_dom_node_t *root) {
    lxb_dom_node_t *node = root;
    while (node != NULL) {
        visit(node);
        if (node->first_child != NULL) {
            node = node->first_child;
            continue;
        }
        while (node != root && node->next == NULL) {
            node = node->parent;
        }
        if (node == root) {
            return;
        }
        node = node->next;
    }
}

static text_t read_file(const char *path) {
    text_t file = {NULL, 0};
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
        fprintf(stderr, "can't read %s\n", path);
        exit(1);
    }
    file.length = (size_t) ftell(stream);
    rewind(stream);
    file.bytes = malloc(file.length + 1);
    if (fread(file.bytes, 1, file.length, stream) != file.length) {
        fprintf(stderr, "can't read %s\n", path);
        exit(1);
    }
    fclose(stream);
    return file;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    struct dirent **entries;
    int found = count == 2 ? scandir(arguments[1], &entries, NULL, alphasort) : -1;
    if (found < 0) {
        fprintf(stderr, "usage: lexbor_walk FOLDER\n");
        return 1;
    }
    text_t *files = calloc((size_t) found, sizeof *files);
    size_t number = 0, bytes = 0;
    for (int at = 0; at < found; at++) {
        char path[4096];
        if (entries[at]->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", arguments[1], entries[at]->d_name);
            files[number] = read_file(path);
            bytes += files[number++].length;
        }
    }
    lxb_html_document_t *document = lxb_html_document_create();
    double started = cpu_seconds();
    for (size_t at = 0; at < number; at++) {
        out.length = 0;
        lxb_html_document_clean(document);
        if (lxb_html_document_parse(document, files[at].bytes, files[at].length) != LXB_STATUS_OK) {
            fprintf(stderr, "lexbor refuses a file\n");
            return 1;
        }
        walk(lxb_dom_interface_node(document));
    }
    printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", bytes, cpu_seconds() - started);
    return 0;
}
