/* A Modbus TCP server by libmodbus: a float of 21.5 in registers 10 and 11 (high word first), 40 in register 100.
   Argument: port. It ends when whoever started it closes its input. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>

int main(int argc, char **argv) {
    modbus_t *bus = modbus_new_tcp("127.0.0.1", atoi(argv[argc - 1]));
    modbus_mapping_t *held = modbus_mapping_new(0, 0, 200, 0);
    int listening = modbus_tcp_listen(bus, 4), top = listening, got;
    unsigned char query[MODBUS_TCP_MAX_ADU_LENGTH];
    fd_set all, ready;

    if (!held || listening < 0) return 1;
    held->tab_registers[10] = 0x41ac; /* in halves by hand: the float functions of 3.1.6 swap bytes on little-endian machines */
    held->tab_registers[11] = 0x0000;
    held->tab_registers[100] = 40;
    FD_ZERO(&all);
    FD_SET(listening, &all);
    FD_SET(STDIN_FILENO, &all);
    puts("ready");
    fflush(stdout);
    for (;;) {
        ready = all;
        if (select(top + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        if (FD_ISSET(STDIN_FILENO, &ready)) return 0;
        for (int fd = listening; fd <= top; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == listening) {
                int client = modbus_tcp_accept(bus, &listening);
                FD_SET(client, &all);
                if (client > top) top = client;
                continue;
            }
            modbus_set_socket(bus, fd);
            got = modbus_receive(bus, query);
            if (got > 0) modbus_reply(bus, query, got, held);
            if (got < 0) { close(fd); FD_CLR(fd, &all); }
        }
    }
}
