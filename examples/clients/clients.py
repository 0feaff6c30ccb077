"""What httpx sees: a row of client, request, expected and seen for each, with tabs between."""

import ssl
import sys

import httpx

URL, PKI = sys.argv[1:]


def row(client: str, request: str, want: str, got: str) -> None:
    print(client, request, want, got, sep="\t", flush=True)


def context(shows: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # An SVID names a workload and no host, so a client that is not ztl cannot prove the service by its name.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if shows:
        context.load_cert_chain(f"{PKI}/curl.pem", f"{PKI}/curl.key")
    return context


for two in (False, True):
    name = f"httpx HTTP/{'2' if two else '1.1'}"
    with httpx.Client(verify=context(True), http1=not two, http2=two, timeout=10, trust_env=False) as client:
        for path, want in (("/hello", "200"), ("/secret", "403"), ("/absent", "403")):
            answer = client.get(URL + path)
            version = "HTTP/2" if two else "HTTP/1.1"
            row(name, f"GET {path}", f"{want} {version}", f"{answer.status_code} {answer.http_version}")
    with httpx.Client(verify=context(False), http1=not two, http2=two, timeout=10, trust_env=False) as client:
        try:
            seen = str(client.get(URL + "/hello").status_code)
        except httpx.HTTPError as error:
            text = str(error).lower().replace("_", " ")
            seen = "alert certificate required" if "certificate required" in text else repr(error)
        row(name, "no certificate", "alert certificate required", seen)

# As gRPC is on the wire: a denial is an answer with a status of its own, and no HTTP error.
with httpx.Client(verify=context(True), http1=False, http2=True, timeout=10, trust_env=False) as client:
    headers = {"content-type": "application/grpc", "te": "trailers"}
    answer = client.post(f"{URL}/routeguide.RouteGuide/GetFeature", headers=headers, content=b"\0" * 5)
    row("gRPC by httpx", "GetFeature", "200, grpc-status 7", f"{answer.status_code}, grpc-status {answer.headers.get('grpc-status')}")
