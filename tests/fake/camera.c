/* Cameras that are not there: a library to be preloaded, which answers for
 * /dev/videoN and for the kernel's list of video devices.
 *
 * FAKE_CAMERA names a folder:
 *   sys/            what is seen under /sys/class/video4linux
 *   videoN/mode     "FOUR columns rows stride", one line for each mode that it
 *                   offers, as "Y16_ 160 122 320"
 *   videoN/frames   the pictures, one after another, each stride * rows bytes
 *   videoN/script   optional, one event a line, times in milliseconds since
 *                   the first start of the camera:
 *     rate HZ               pictures a second, 30 unless said
 *     gone FROM TO          unplugged; its file is missing, too
 *     still FROM TO         the picture of FROM is sent again and again
 *     silent FROM TO        no pictures come
 *     short FROM TO BYTES   pictures have so many bytes
 *     size COLUMNS ROWS     it agrees to this size alone, whatever is asked
 *     busy                  it cannot start: another program has it
 *   videoN/log      written here: when it was started, stopped, and found to be
 *                   unplugged, in milliseconds of the monotonic clock
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODES 16
#define EVENTS 32
#define BUFFERS 8
#define CAMERAS 64

struct mode { unsigned fourcc, columns, rows, stride; };
struct event { char kind[16]; long from, to, bytes; };

struct camera {
    int fd, number, streaming, next;
    long epoch_ms, sent, delivered, skipped;
    struct mode modes[MODES], now;
    int mode_count, event_count, buffers;
    struct event events[EVENTS];
    double rate;
    size_t size;                    /* of a buffer */
    long filled[BUFFERS];           /* which picture it waits for; -1: not queued */
    unsigned char *memory, *frames;
    size_t frames_bytes;
};

static struct camera cameras[CAMERAS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_close)(int);
static DIR *(*real_opendir)(const char *);

/* Other libraries may open files before our own constructor would run. */
static void find_real(void) {
    if (real_opendir) return;
    real_open = dlsym(RTLD_NEXT, "open64");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_close = dlsym(RTLD_NEXT, "close");
    real_opendir = dlsym(RTLD_NEXT, "opendir");
}

static const char *folder(void) { return getenv("FAKE_CAMERA"); }

static void place(char *path, size_t size, int number, const char *file) {
    snprintf(path, size, "%s/video%d/%s", folder(), number, file);
}

/* When the camera was first started; the same for every process and opening. */
static long epoch(int number, int begin) {
    char path[512];
    long when = -1;
    place(path, sizeof path, number, "epoch");
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld", &when) != 1) when = -1;
        fclose(file);
    } else if (begin && (file = fopen(path, "w"))) {
        when = now_ms();
        fprintf(file, "%ld\n", when);
        fclose(file);
    }
    return when;
}

static void note(int number, const char *what) {
    char path[512];
    place(path, sizeof path, number, "log");
    FILE *file = fopen(path, "a");
    if (file) {
        fprintf(file, "%s %ld\n", what, now_ms());
        fclose(file);
    }
}

static struct event *event_at(struct camera *c, const char *kind, long ms) {
    for (int i = 0; i < c->event_count; i++) {
        struct event *e = &c->events[i];
        if (!strcmp(e->kind, kind) && e->from <= ms && ms < e->to) return e;
    }
    return NULL;
}

static void load(struct camera *c) {
    char path[512], line[128], name[8];
    place(path, sizeof path, c->number, "mode");
    FILE *file = fopen(path, "r");
    while (file && c->mode_count < MODES && fgets(line, sizeof line, file)) {
        struct mode *m = &c->modes[c->mode_count];
        if (sscanf(line, "%7s %u %u %u", name, &m->columns, &m->rows, &m->stride) != 4) continue;
        for (int i = 0; i < 4; i++)
            m->fourcc |= (unsigned)(name[i] == '_' ? ' ' : name[i]) << 8 * i;
        if (name[4] == '-') m->fourcc |= 1u << 31;
        c->mode_count++;
    }
    if (file) fclose(file);
    c->now = c->modes[0];
    c->rate = 30;
    place(path, sizeof path, c->number, "script");
    file = fopen(path, "r");
    while (file && c->event_count < EVENTS && fgets(line, sizeof line, file)) {
        struct event *e = &c->events[c->event_count];
        if (sscanf(line, "%15s %ld %ld %ld", e->kind, &e->from, &e->to, &e->bytes) < 1) continue;
        if (!strcmp(e->kind, "rate")) c->rate = e->from;
        c->event_count++;
    }
    if (file) fclose(file);
}

static int is_gone(struct camera *c) {
    return c->epoch_ms >= 0 && event_at(c, "gone", now_ms() - c->epoch_ms) != NULL;
}

static struct event *setting(struct camera *c, const char *kind) {
    for (int i = 0; i < c->event_count; i++)
        if (!strcmp(c->events[i].kind, kind)) return &c->events[i];
    return NULL;
}

static int open_camera(int number) {
    struct stat found;
    char path[512];
    place(path, sizeof path, number, "mode");
    if (stat(path, &found)) return errno = ENOENT, -1;
    struct camera *c = NULL;
    for (int i = 0; i < CAMERAS && !c; i++)
        if (!cameras[i].fd) c = &cameras[i];
    if (!c) return errno = EMFILE, -1;
    memset(c, 0, sizeof *c);
    c->number = number;
    load(c);
    c->epoch_ms = epoch(number, 0);
    if (is_gone(c)) return errno = ENOENT, -1;
    c->fd = memfd_create("camera", MFD_CLOEXEC);
    return c->fd;
}

static struct camera *camera_of(int fd) {
    for (int i = 0; fd > 0 && i < CAMERAS; i++)
        if (cameras[i].fd == fd) return &cameras[i];
    return NULL;
}

/* Where a path of the kernel's lies in the folder; NULL if it is none. */
static const char *redirected(const char *path, char *room, size_t size) {
    const char *class = "/sys/class/video4linux";
    if (!folder() || strncmp(path, class, strlen(class))) return NULL;
    snprintf(room, size, "%s/sys%s", folder(), path + strlen(class));
    return room;
}

static int open_any(const char *path, int flags, mode_t mode) {
    char room[512];
    int number;
    find_real();
    if (folder() && sscanf(path, "/dev/video%d", &number) == 1) {
        pthread_mutex_lock(&lock);
        int fd = open_camera(number);
        pthread_mutex_unlock(&lock);
        return fd;
    }
    const char *other = redirected(path, room, sizeof room);
    return real_open(other ? other : path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return open_any(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return open_any(path, flags, mode);
}

DIR *opendir(const char *path) {
    char room[512];
    find_real();
    const char *other = redirected(path, room, sizeof room);
    return real_opendir(other ? other : path);
}

int close(int fd) {
    find_real();
    pthread_mutex_lock(&lock);
    struct camera *c = camera_of(fd);
    if (c) {
        if (c->memory) munmap(c->memory, c->size * BUFFERS);
        if (c->frames) munmap(c->frames, c->frames_bytes);
        c->fd = 0;
    }
    pthread_mutex_unlock(&lock);
    return real_close(fd);
}

static int failed(int error) { return errno = error, -1; }

/* The picture that has come by `ms`, counted from the start of the camera. */
static long picture_at(struct camera *c, long ms) { return (long)(ms * c->rate / 1000.0); }

/* The buffer that waits for the oldest picture, and is filled; -1: none. */
static int done(struct camera *c) {
    if (!c->streaming) return -1;
    long ms = now_ms() - c->epoch_ms;
    if (event_at(c, "silent", ms) || picture_at(c, ms) <= c->sent) return -1;
    int oldest = -1;
    for (int i = 0; i < c->buffers; i++)
        if (c->filled[i] >= 0 && (oldest < 0 || c->filled[i] < c->filled[oldest])) oldest = i;
    return oldest;
}

static int dequeue(struct camera *c, struct v4l2_buffer *b) {
    int index;
    while ((index = done(c)) < 0) {
        if (is_gone(c)) return failed(ENODEV);
        usleep(1000);
    }
    long ms = now_ms() - c->epoch_ms, picture = picture_at(c, ms);
    struct event *still = event_at(c, "still", ms), *brief = event_at(c, "short", ms);
    size_t bytes = (size_t)c->now.stride * c->now.rows;
    size_t count = bytes && c->frames_bytes >= bytes ? c->frames_bytes / bytes : 0;
    size_t shown = (size_t)(still ? picture_at(c, still->from) : picture);
    if (count) memcpy(c->memory + index * c->size, c->frames + shown % count * bytes, bytes);
    b->index = index;
    b->bytesused = brief ? brief->bytes : (long)bytes;
    b->sequence = picture;
    b->length = c->size;
    b->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    c->delivered++;
    c->skipped += picture - c->sent - 1;
    c->sent = picture;
    c->filled[index] = -1;
    return 0;
}

static int request_buffers(struct camera *c, struct v4l2_requestbuffers *r) {
    char path[512];
    c->size = ((size_t)c->now.stride * c->now.rows + 4095) & ~(size_t)4095;
    c->buffers = r->count = r->count > BUFFERS ? BUFFERS : r->count;
    for (int i = 0; i < BUFFERS; i++) c->filled[i] = -1;
    if (ftruncate(c->fd, c->size * BUFFERS)) return -1;
    c->memory = mmap(NULL, c->size * BUFFERS, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    place(path, sizeof path, c->number, "frames");
    int file = real_open(path, O_RDONLY);
    struct stat found;
    if (file >= 0 && !fstat(file, &found) && found.st_size) {
        c->frames_bytes = found.st_size;
        c->frames = mmap(NULL, c->frames_bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0) real_close(file);
    return 0;
}

static int answer(struct camera *c, unsigned long request, void *argument) {
    if (is_gone(c)) {
        note(c->number, "unplugged");
        return failed(ENODEV);
    }
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *q = argument;
        memset(q, 0, sizeof *q);
        strcpy((char *)q->driver, "fake");
        strcpy((char *)q->card, "fake");
        int captures = c->mode_count > 0;
        q->device_caps = captures ? V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING
                                  : V4L2_CAP_META_CAPTURE;
        q->capabilities = q->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *d = argument;
        unsigned index = 0;
        for (int i = 0; i < c->mode_count; i++) {
            int new = 1;
            for (int j = 0; j < i; j++) new &= c->modes[j].fourcc != c->modes[i].fourcc;
            if (new && index++ == d->index) return d->pixelformat = c->modes[i].fourcc, 0;
        }
        return failed(EINVAL);
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *s = argument;
        unsigned index = 0;
        for (int i = 0; i < c->mode_count; i++)
            if (c->modes[i].fourcc == s->pixel_format && index++ == s->index) {
                s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
                s->discrete.width = c->modes[i].columns;
                s->discrete.height = c->modes[i].rows;
                return 0;
            }
        return failed(EINVAL);
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *v = argument;
        if (v->index) return failed(EINVAL);
        v->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        v->discrete.numerator = 1;
        v->discrete.denominator = (unsigned)c->rate;
        return 0;
    }
    case VIDIOC_S_FMT: {
        struct v4l2_pix_format *p = &((struct v4l2_format *)argument)->fmt.pix;
        struct event *size = setting(c, "size");
        if (setting(c, "busy")) return failed(EBUSY);
        for (int i = 0; i < c->mode_count; i++) {
            struct mode *m = &c->modes[i];
            if (m->fourcc == p->pixelformat && m->columns == p->width && m->rows == p->height)
                c->now = *m;
        }
        if (size) {
            c->now.columns = size->from;
            c->now.rows = size->to;
        }
    } /* fall through: the answer is what holds now */
    case VIDIOC_G_FMT: {
        struct v4l2_pix_format *p = &((struct v4l2_format *)argument)->fmt.pix;
        p->pixelformat = c->now.fourcc;
        p->width = c->now.columns;
        p->height = c->now.rows;
        p->bytesperline = c->now.stride;
        p->sizeimage = c->now.stride * c->now.rows;
        return 0;
    }
    case VIDIOC_REQBUFS:
        return request_buffers(c, argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = argument;
        b->length = c->size;
        b->m.offset = b->index * c->size;
        b->flags = done(c) == (int)b->index ? V4L2_BUF_FLAG_DONE : 0;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *b = argument;
        long last = 0;
        for (int i = 0; i < c->buffers; i++) last = c->filled[i] > last ? c->filled[i] : last;
        c->filled[b->index] = last + 1;
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(c, argument);
    case VIDIOC_STREAMON:
        c->epoch_ms = epoch(c->number, 1);
        c->streaming = 1;
        c->sent = picture_at(c, now_ms() - c->epoch_ms);
        note(c->number, "started");
        return 0;
    case VIDIOC_STREAMOFF:
        if (c->streaming) {
            char what[64];
            snprintf(what, sizeof what, "stopped after %ld skipped %ld at", c->delivered, c->skipped);
            note(c->number, what);
        }
        c->streaming = 0;
        return 0;
    }
    return failed(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    find_real();
    pthread_mutex_lock(&lock);
    struct camera *c = camera_of(fd);
    /* Requests are 32 bits; some programs extend their sign. */
    int result = c ? answer(c, request & 0xffffffffu, argument) : 0;
    pthread_mutex_unlock(&lock);
    return c ? result : real_ioctl(fd, request, argument);
}
