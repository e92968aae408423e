"""Runs a Python function behind the Lambda Runtime API.

Asks for an event, calls the handler, posts what it returns or raises, and asks again. Imports are few and late: this
file's time is part of every cold start.
"""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime"
JSON = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
LEVELS = {
    "TRACE": logging.NOTSET, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


class Server:
    """The Runtime API, over one connection that is made again when it breaks."""

    def __init__(self, address):
        self.address = address
        self.connection = None

    def call(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address)
        try:
            self.connection.request(method, API + path, body, headers or {})
            response = self.connection.getresponse()
            return response, response.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """What handlers get as their second argument."""

    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        client = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = json.loads(client) if client else None
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class RequestId(logging.Filter):
    current = ""

    def filter(self, record):
        record.aws_request_id = RequestId.current
        return True


class JsonFormatter(logging.Formatter):
    """One object a line, with what the caller gave as `extra`."""

    converter = time.gmtime
    usual = {*vars(logging.makeLogRecord({})), "asctime", "aws_request_id", "message"}

    def format(self, record):
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            line["stackTrace"] = traceback.format_tb(record.exc_info[2])
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        if RequestId.current:
            line["requestId"] = RequestId.current
        line.update((name, value) for name, value in vars(record).items() if name not in self.usual and name not in line)
        return json.dumps(line, default=str, ensure_ascii=False)


class BadFunction(Exception):
    """The handler cannot be had; `kind` is what clients see."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def load(handler):
    module_name, separator, function_name = handler.rpartition(".")
    if not separator or not module_name:
        raise BadFunction("Runtime.MalformedHandlerName", f"Bad handler '{handler}': not enough values to unpack")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise BadFunction("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        raise BadFunction("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}") from error
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise BadFunction("Runtime.HandlerNotFound", message) from None


def describe(error, request_id):
    """The error object that clients get. Frames of this file tell them nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": error.kind if isinstance(error, BadFunction) else type(error).__name__,
        "requestId": request_id,
        "stackTrace": [] if isinstance(error, BadFunction) else traceback.format_list(frames),
    }


def report(server, path, error, request_id):
    described = describe(error, request_id)
    if JSON:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        print(json.dumps({"timestamp": now, "log_level": "ERROR", **described}))
    else:
        report_text(described)
    flush()
    server.call("POST", path, json.dumps(described), {"Lambda-Runtime-Function-Error-Type": described["errorType"]})


def report_text(described):
    print(f"[ERROR] {described['errorType']}: {described['errorMessage']}")
    if described["stackTrace"]:
        print("Traceback (most recent call last):\n" + "".join(described["stackTrace"]), end="")


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def answer(handler, event, context):
    result = handler(json.loads(event), context)
    try:
        return json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise BadFunction("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def set_logger_up():
    output = logging.StreamHandler(sys.stdout)
    if JSON:
        output.setFormatter(JsonFormatter())
        logging.getLogger().setLevel(LEVELS.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL"), logging.INFO))
    else:
        text = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        output.setFormatter(logging.Formatter(text, "%Y-%m-%dT%H:%M:%S"))
        output.formatter.converter = time.gmtime
    output.addFilter(RequestId())
    logging.getLogger().addHandler(output)


def main():
    server = Server(os.environ["AWS_LAMBDA_RUNTIME_API"])
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.stdout.reconfigure(line_buffering=True)
    set_logger_up()
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        report(server, "/init/error", error, "")
        sys.exit(1)
    while True:
        response, event = server.call("GET", "/invocation/next")
        if response.status != 200:
            sys.exit(1)
        RequestId.current = response.headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = response.headers.get("Lambda-Runtime-Trace-Id", "")
        path = f"/invocation/{RequestId.current}"
        try:
            result = answer(handler, event, Context(response.headers))
        except Exception as error:
            report(server, f"{path}/error", error, RequestId.current)
            continue
        flush()
        server.call("POST", f"{path}/response", result, {"Content-Type": "application/json"})


if __name__ == "__main__":
    main()
