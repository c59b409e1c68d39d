/* request.h - the callbacks that the HTTP library gets. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <microhttpd.h>

void *request_log_uri(void *arg, const char *uri, struct MHD_Connection *conn);
enum MHD_Result request_handle(void *arg, struct MHD_Connection *conn, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_len, void **con_cls);
void request_completed(void *arg, struct MHD_Connection *conn, void **con_cls,
                       enum MHD_RequestTerminationCode code);

#endif
