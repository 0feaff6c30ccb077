"""What grpcio sees: a row of client, request, expected and seen for each, with tabs between."""

import sys

import grpc

TARGET, PKI = sys.argv[1:]


def row(request: str, want: str, got: str) -> None:
    print("grpcio", request, want, got, sep="\t", flush=True)


def read(name: str) -> bytes:
    with open(f"{PKI}/{name}", "rb") as file:
        return file.read()


def seen(ask) -> str:
    try:
        return ask()
    except grpc.RpcError as error:
        return error.code().name


def credentials(shows: bool) -> grpc.ChannelCredentials:
    # The service is proved by its host name and the bundle, as gRPC does it.
    pair = {"private_key": read("grpcio.key"), "certificate_chain": read("grpcio.pem")} if shows else {}
    return grpc.ssl_channel_credentials(root_certificates=read("bundle.pem"), **pair)


with grpc.secure_channel(TARGET, credentials(True)) as channel:
    say = channel.unary_unary("/hello.Greeter/Say")
    row("Say", "hello", seen(lambda: say(b"hello", timeout=10).decode()))
    chat = channel.stream_stream("/hello.Greeter/Chat")
    words = [b"one", b"two", b"three"]
    row("Chat", "one two three", seen(lambda: b" ".join(chat(iter(words), timeout=10)).decode()))
    secret = channel.unary_unary("/hello.Greeter/Secret")
    row("Secret", "PERMISSION_DENIED", seen(lambda: secret(b"hello", timeout=10).decode()))
with grpc.secure_channel(TARGET, credentials(False)) as channel:
    say = channel.unary_unary("/hello.Greeter/Say")
    row("no certificate", "UNAVAILABLE", seen(lambda: say(b"hello", timeout=10).decode()))
