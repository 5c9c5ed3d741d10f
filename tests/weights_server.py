"""A server of weights on this machine."""

import http.server
import threading
import time


class WeightsServer(http.server.ThreadingHTTPServer):
    """Serves `files` by path, at the pace that `seconds_a_byte` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WeightsHandler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.seconds_a_byte = 0.0
        self.tells_length = True
        self.missing_bytes = 0  # told, and never sent
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class WeightsHandler(http.server.BaseHTTPRequestHandler):
    server: WeightsServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.may_answer.wait(60)
        data = self.send_headers()
        try:
            if not self.server.seconds_a_byte:
                self.wfile.write(data)
                return
            for place in range(len(data)):
                self.wfile.write(data[place : place + 1])
                time.sleep(self.server.seconds_a_byte)
        except OSError:
            self.close_connection = True  # the client gave up

    def do_HEAD(self) -> None:
        self.server.asked.append(f"HEAD {self.path}")
        self.send_headers()

    def send_headers(self) -> bytes:
        data = self.server.files.get(self.path.partition("?")[0])
        if data is None:
            self.send_error(404)
            return b""
        self.send_response(200)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(data) + self.server.missing_bytes))
        self.end_headers()
        return data

    def log_message(self, format: str, *args: object) -> None:
        pass
