"""Configuration of nginx, the only door to the coordinator.

The proxy ends the hospitals' TLS and lets through the paths that a SuperNode needs, to a hospital alone: the sender has
shown a certificate of an enrolled key before the body of its request is read. Flower parses a body before it asks who
sent it.

Behind it the SuperLink also serves an interface that starts runs and one that hands out their work, neither of which
asks who is calling; they stay on the loopback interface.
"""

import os
import resource

TRUSTED = "hospitals.pem"
"""Certificates of the enrolled keys, beside the configuration."""


OBJECT_BODY = "6m"
"""Largest body of the path that takes parts of arrays: Flower makes them of 5 MiB."""


MESSAGE_BODY = "64k"
"""Largest body of the path that takes the names of a message's parts, some 70 bytes each."""


SMALL_BODY = "16k"
"""Largest body of the other paths, whose requests have a few hundred bytes."""


SMALL_PATHS = (
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "pull-object",
    "confirm-message-received",
    "get-run",
    "get-fab",
)


CONNECTIONS_OF_HOSPITAL, CONNECTIONS_OF_STRANGER = 16, 16
"""Requests under way at once, of a certificate, and of an address without one. A SuperNode has up to four."""


FILES = 16384
"""Most open files of the worker, two for each request, where the machine allows as many."""


_CONFIGURATION = """\
# Written by `consilium coordinator`, anew at each start. Change coordinator.toml instead.
daemon off;
{user}pid nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile {files};
worker_shutdown_timeout 5s;

events {{
    worker_connections {connections};
}}

http {{
    access_log off;
    server_tokens off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    # A hospital is counted by its key, as 21 of them may share one address; everybody else by the address.
    map $ssl_client_verify $hospital {{
        default "";
        SUCCESS $ssl_client_i_dn;
    }}
    map $ssl_client_verify $stranger {{
        default $binary_remote_addr;
        SUCCESS "";
    }}
    limit_conn_zone $hospital zone=hospital_connections:1m;
    limit_conn_zone $stranger zone=stranger_connections:1m;
    limit_req_zone $hospital zone=hospital_requests:1m rate=100r/s;
    limit_req_zone $stranger zone=stranger_requests:1m rate=10r/s;
    limit_conn_log_level error;

    upstream superlink {{
        server 127.0.0.1:{internal_port};
        keepalive 16;
    }}

    server {{
        listen {port} ssl;{also}
        ssl_certificate "{certificate}";
        ssl_certificate_key "{certificate}";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets off;

        # Whose certificate is not verified gets no further than to be told so. The names of the hospitals'
        # certificates are not sent to those who connect, as those of `ssl_client_certificate` would be.
        ssl_verify_client optional;
        ssl_client_certificate "{authority}";
        ssl_trusted_certificate {trusted};

        client_header_timeout 10s;
        client_body_timeout 15s;
        send_timeout 30s;
        lingering_time 5s;
        lingering_timeout 2s;
        keepalive_timeout 30s;
        large_client_header_buffers 4 8k;

        limit_conn hospital_connections {of_hospital};
        limit_conn stranger_connections {of_stranger};
        limit_req zone=hospital_requests burst=400 delay=200;
        limit_req zone=stranger_requests burst=40 nodelay;

        # A small body is read whole before it is passed on, and in memory; of messages the proxy's disk has no copy.
        client_max_body_size 1;
        client_body_buffer_size {message};
        proxy_buffering off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_read_timeout 120s;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate "{authority}";
        proxy_ssl_name localhost;

{locations}
        location = /health {{
            limit_except GET {{
                deny all;
            }}
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header Content-Length "";
            proxy_pass https://superlink/health;
        }}
        location / {{
            return 403;
        }}
    }}
}}
"""


_LOCATION = """\
        location = /v1/fleet/{path} {{
            if ($ssl_client_verify != SUCCESS) {{
                return 403;
            }}
            limit_except POST {{
                deny all;
            }}
            client_max_body_size {body};
            proxy_request_buffering {buffering};
            proxy_pass https://superlink/v1/fleet/{path};
        }}
"""


def nginx_configuration(port: int, internal_port: int, certificate: str, authority: str, ipv6: bool) -> str:
    """The configuration of nginx in front of a SuperLink.

    Args:
        port: on which hospitals reach the coordinator.
        internal_port: of the SuperLink, on the loopback interface.
        certificate: of this server, with its private key; like all paths here from where the configuration is.
        authority: the root certificate that vouches for the SuperLink.
        ipv6: have it listen at the machine's IPv6 addresses too.
    """
    files = _open_files()
    small = [_LOCATION.format(path=path, body=SMALL_BODY, buffering="on") for path in SMALL_PATHS]
    message = _LOCATION.format(path="push-messages", body=MESSAGE_BODY, buffering="on")
    parts = _LOCATION.format(path="push-object", body=OBJECT_BODY, buffering="off")
    return _CONFIGURATION.format(
        port=port,
        also=f"\n        listen [::]:{port} ssl ipv6only=on;" if ipv6 else "",
        internal_port=internal_port,
        certificate=certificate,
        authority=authority,
        trusted=TRUSTED,
        user="user root;\n" if os.geteuid() == 0 else "",  # else its workers could not use this folder
        files=files,
        connections=files // 2,
        of_hospital=CONNECTIONS_OF_HOSPITAL,
        of_stranger=CONNECTIONS_OF_STRANGER,
        message=MESSAGE_BODY,
        locations="".join([*small, message, parts]).rstrip("\n"),
    )


def _open_files() -> int:
    """Files that a process of this user may open, up to `FILES`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES if most == resource.RLIM_INFINITY else min(FILES, most)
