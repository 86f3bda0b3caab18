"""What a vLLM server looks like from outside, in one file that starts at once: python fake_server.py PORT [MODE].

It writes its command line, environment and process ids into `facts.json` in its folder. What it does with a chat is
the last message: `die` ends it before the answer, `die in the middle` while it streams, `hang` never answers, `garbage`
answers nonsense, `slowly` streams for long and notes in `left.json` when its client leaves. MODE `deaf` never listens,
`broken` ends at once.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, MODE = int(sys.argv[1]), (sys.argv[2:] or [""])[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def reply(self, body: object, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def allowed(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {os.environ['VLLM_API_KEY']}":
            return True
        self.reply({"error": {"message": "Unauthorized"}}, 401)
        return False

    def do_GET(self) -> None:
        if self.allowed():
            self.reply({"object": "list", "data": [{"id": "base", "object": "model", "root": "base"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.allowed():
            return
        if self.path == "/v1/unload_lora_adapter":
            with Path("unloaded.txt").open("a") as file:
                file.write(body["lora_name"] + "\n")
            self.reply({})
        elif self.path == "/v1/completions":
            self.reply({"choices": [self.choice(n, body) for n in range(len(body["prompt"]))]})
        else:
            self.chat(body["messages"][-1]["content"], body["model"])

    def choice(self, index: int, body: dict) -> dict:
        top = {f"token_id:{token}": -float(token) for token in body["logprob_token_ids"]}
        return {"index": index, "text": "", "logprobs": {"top_logprobs": [top]}}

    def chat(self, text: str, model: str) -> None:
        if text == "die":
            os._exit(1)
        if text == "hang":
            time.sleep(600)
        if text == "garbage":
            self.reply(["nothing", "of", "the", "kind"])
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(1000 if text == "slowly" else 4):
            if text == "die in the middle" and number == 2:
                os._exit(1)
            try:
                self.chunk({"content": f"{model} "}, None)
            except OSError:
                Path("left.json").write_text(str(number))
                return
            time.sleep(0.01)
        self.chunk({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def chunk(self, delta: dict, finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "base", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


if MODE == "broken":
    sys.exit("ValueError: there is no such model")
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as vLLM's engine process
pids = {"server": os.getpid(), "worker": worker.pid}
Path("facts.json").write_text(json.dumps({"argv": sys.argv, "environment": dict(os.environ), **pids}))
if MODE == "deaf":
    time.sleep(600)
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
