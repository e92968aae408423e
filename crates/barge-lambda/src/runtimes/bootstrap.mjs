// Runs a Node.js function behind the Lambda Runtime API: asks for an event, calls the handler, posts what it gives or
// throws, and asks again.

import { existsSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId = "";

function call(method, suffix, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
    const options = { host, port, agent, method, path: `/2018-06-01/runtime${suffix}`, headers: { ...headers, ...length } };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on("error", reject);
    request.setNoDelay(true);
    request.end(body);
  });
}

class BadFunction extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

async function load(handler) {
  const root = process.env.LAMBDA_TASK_ROOT;
  const file = path.basename(handler);
  const dot = file.indexOf(".");
  if (dot < 1) throw new BadFunction("Runtime.MalformedHandlerName", `Bad handler ${handler}`);
  const stem = path.join(root, path.dirname(handler), file.slice(0, dot));
  const module = ["", ".js", ".mjs", ".cjs"].map((end) => stem + end).find((name) => path.extname(name) && existsSync(name));
  if (!module) throw new BadFunction("Runtime.ImportModuleError", `Error: Cannot find module '${path.basename(stem)}'`);
  let exported;
  try {
    exported = await import(pathToFileURL(module).href);
  } catch (error) {
    const kind = error instanceof SyntaxError ? "Runtime.UserCodeSyntaxError" : "Runtime.ImportModuleError";
    throw error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND" || error instanceof SyntaxError
      ? new BadFunction(kind, `${error}`)
      : error;
  }
  const names = file.slice(dot + 1).split(".");
  const inside = (start) => names.reduce((value, name) => value?.[name], start);
  const found = inside(exported) ?? inside(exported.default);
  if (typeof found !== "function") {
    throw new BadFunction("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  }
  return found;
}

function describe(error) {
  if (!(error instanceof Error)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? "").split("\n") };
}

async function report(suffix, error) {
  const described = describe(error);
  console.error("Invoke Error", JSON.stringify(described));
  await call("POST", suffix, JSON.stringify(described), { "Lambda-Runtime-Function-Error-Type": described.errorType });
}

function context(headers, settle) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const client = headers["lambda-runtime-client-context"];
  return {
    awsRequestId: requestId,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client ? JSON.parse(client) : undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    done: settle,
    fail: (error) => settle(error ?? new Error("failed")),
    succeed: (result) => settle(null, result),
  };
}

function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    const settle = (error, result) => (error ? reject(error) : resolve(result));
    const result = handler(JSON.parse(event), context(headers, settle), settle);
    if (typeof result?.then === "function") result.then(resolve, reject);
    else if (handler.length < 3) resolve(result);
  });
}

function prefixConsole() {
  const levels = { log: "INFO", info: "INFO", debug: "DEBUG", trace: "TRACE", warn: "WARN", error: "ERROR" };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => {
      const text = format(...values).replaceAll("\n", "\r");
      process.stdout.write(`${new Date().toISOString()}\t${requestId || "undefined"}\t${level}\t${text}\n`);
    };
  }
}

prefixConsole();
let handler;
try {
  handler = await load(process.env._HANDLER);
} catch (error) {
  await report("/init/error", error);
  process.exit(1);
}
let fatal = async (error) => {
  await report(requestId ? `/invocation/${requestId}/error` : "/init/error", error);
  process.exit(129);
};
process.on("uncaughtException", (error) => fatal(error));
process.on("unhandledRejection", (error) => fatal(error));
for (;;) {
  const next = await call("GET", "/invocation/next");
  if (next.status !== 200) process.exit(1);
  requestId = next.headers["lambda-runtime-aws-request-id"];
  process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
  let body;
  try {
    const result = await run(handler, next.body, next.headers);
    body = result === undefined ? "null" : JSON.stringify(result) ?? "null";
  } catch (error) {
    await report(`/invocation/${requestId}/error`, error);
    continue;
  }
  await call("POST", `/invocation/${requestId}/response`, body, { "Content-Type": "application/json" });
}
