"""Configuration of nginx, the only door to the coordinator.

The proxy ends the hospitals' TLS and lets through the paths that a SuperNode needs.

Behind it the SuperLink also serves an interface that starts runs and one that hands out their work, neither of which
asks who is calling; they stay on the loopback interface.
"""

import os

BODY_MEGABYTES = 16
"""Flower sends arrays in parts of 5 MB; nginx' own limit is 1 MB."""


_CONFIGURATION = """\
# Written by `consilium coordinator`, anew at each start. Change coordinator.toml instead.
daemon off;
{user}pid nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_shutdown_timeout 5s;

events {{
    worker_connections 1024;
}}

http {{
    access_log off;
    server_tokens off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    upstream superlink {{
        server 127.0.0.1:{internal_port};
        keepalive 16;
    }}

    server {{
        listen {port} ssl;
        ssl_certificate "{certificate}";
        ssl_certificate_key "{certificate}";
        ssl_protocols TLSv1.2 TLSv1.3;

        # Messages pass through; a copy of them on the proxy's disk would serve nobody.
        client_max_body_size {body}m;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_read_timeout 120s;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate "{authority}";
        proxy_ssl_name localhost;

        # The path handed on is the one that was matched, with dots and escapes resolved.
        location /v1/fleet/ {{
            limit_except POST {{
                deny all;
            }}
            proxy_pass https://superlink/v1/fleet/;
        }}
        location = /health {{
            limit_except GET {{
                deny all;
            }}
            proxy_pass https://superlink/health;
        }}
        location / {{
            return 403;
        }}
    }}
}}
"""


def nginx_configuration(port: int, internal_port: int, certificate: str, authority: str) -> str:
    """The configuration of nginx in front of a SuperLink.

    Args:
        port: on which hospitals reach the coordinator.
        internal_port: of the SuperLink, on the loopback interface.
        certificate: of this server, with its private key; like all paths here from where the configuration is.
        authority: the root certificate that vouches for the SuperLink.
    """
    return _CONFIGURATION.format(
        port=port,
        internal_port=internal_port,
        certificate=certificate,
        authority=authority,
        user="user root;\n" if os.geteuid() == 0 else "",  # else its workers could not use this folder
        body=BODY_MEGABYTES,
    )
