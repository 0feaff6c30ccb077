"""Python's ssl as a client or a server: peer.py client|server PORT CA [CERTIFICATE KEY]"""

import socket
import ssl
import sys

role, port, ca, *own = sys.argv[1:]

if role == "client":
    context = ssl.create_default_context(cafile=ca)
    if own:
        context.load_cert_chain(*own)
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while part := tls.recv(4096):
                    print(part.decode())
    except OSError as error:
        print(error, flush=True)
        sys.exit(1)
else:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*own)
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print(f"ACCEPT 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        raw, _ = listener.accept()
        raw.settimeout(20)
        try:
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(b"HTTP/1.0 200 OK\r\n\r\nok\n")
        except OSError as error:
            print(error, flush=True)
