/* The limit: start a command N times, P at once, wait for each. Usage: spawn_loop N P program arguments... */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    int total = atoi(argv[1]), width = atoi(argv[2]), started = 0, ended = 0;
    while (ended < total) {
        while (started < total && started - ended < width) {
            pid_t pid;
            if (posix_spawn(&pid, argv[3], NULL, NULL, argv + 3, environ) != 0)
                return 1;
            started++;
        }
        if (wait(NULL) > 0)
            ended++;
    }
    return argc < 4;
}
