// Runs a Node.js function behind the Lambda Runtime API: asks for an event, calls the handler, posts what it gives or
// throws, and asks again.

import { existsSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { pathToFileURL, urlToHttpOptions } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const release = Number(/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV)?.[1]);
const json = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
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
  if (release >= 24 && found.length > 2) {
    throw new BadFunction(
      "Runtime.CallbackHandlerDeprecated",
      "AWS Lambda has removed support for callback-based function handlers starting with Node.js 24.",
    );
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
  if (json) console.error(described);
  else console.error("Invoke Error", JSON.stringify(described));
  await call("POST", suffix, JSON.stringify(described), { "Lambda-Runtime-Function-Error-Type": described.errorType });
}

function context(headers) {
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
  };
}

// What is to happen when the event loop is empty.
let atRest;
process.on("beforeExit", () => atRest?.());

// From nodejs24.x on, what a handler returns is its result. Before, only a promise is; another handler's result is what it
// calls back with, or null when nothing is left to do.
function run(handler, event, headers) {
  const given = context(headers);
  if (release >= 24) return untilRest(async () => handler(event, given));
  return new Promise((resolve, reject) => {
    const done = (error, result) => ((error ?? null) === null ? resolve(result) : reject(error));
    const callback = (error, result) => {
      if ((error ?? null) !== null || !given.callbackWaitsForEmptyEventLoop) done(error, result);
      else atRest = () => resolve(result);
    };
    Object.assign(given, { done, succeed: resolve, fail: (error) => reject(error ?? "handled") });
    atRest = () => resolve(null);
    const result = handler(event, given, callback);
    if (typeof result?.then === "function") untilRest(() => result).then(resolve, reject);
  });
}

function untilRest(start) {
  return new Promise((resolve, reject) => {
    const message = "The Lambda runtime client detected an unexpected Node.js exit code.";
    atRest = () => reject(new BadFunction("Runtime.NodeJsExit", message));
    start().then(resolve, reject);
  });
}

const ANSWERS = "/_barge/cloudformation/";
let answers;

// Where CloudFormation waits for what becomes of a custom resource, if the event is of one.
function noteAnswers(event) {
  try {
    answers = new URL(event.ResponseURL);
  } catch {
    answers = undefined;
  }
}

// On AWS a ResponseURL is https, and handlers (AWS's cfn-response, the CDK's) send to its host and path by https without
// looking at scheme and port. Here it is Barge's own, in plain HTTP: what is meant for it goes there, and nothing else.
function carryAnswers() {
  const request = https.request;
  https.request = (...values) => {
    const [first, second] = values;
    const whole = typeof first === "string" || first instanceof URL;
    const options = whole ? { ...urlToHttpOptions(new URL(first)), ...(typeof second === "object" ? second : {}) } : first;
    const hostname = options?.hostname ?? options?.host;
    if (!answers || hostname !== urlToHttpOptions(answers).hostname || !options.path?.startsWith(ANSWERS)) {
      return request(...values);
    }
    const callback = values.findLast((value) => typeof value === "function");
    return http.request({ ...options, hostname, protocol: "http:", port: answers.port, agent: undefined }, callback);
  };
  syncBuiltinESMExports();
}

function textLine(level, values) {
  return `${new Date().toISOString()}\t${requestId || "undefined"}\t${level}\t${format(...values).replaceAll("\n", "\r")}`;
}

function jsonLine(level, values) {
  const line = { timestamp: new Date().toISOString(), level, requestId: requestId || undefined };
  const plain = (_, value) =>
    value instanceof Error
      ? { errorType: value.name, errorMessage: value.message, stackTrace: (value.stack ?? "").split("\n"), ...value }
      : value;
  const message = values.length === 1 ? values[0] : format(...values);
  try {
    return JSON.stringify({ ...line, message }, plain);
  } catch {
    return JSON.stringify({ ...line, message: format(...values) });
  }
}

function writeConsole() {
  const levels = { log: "INFO", info: "INFO", debug: "DEBUG", trace: "TRACE", warn: "WARN", error: "ERROR", fatal: "FATAL" };
  const line = json ? jsonLine : textLine;
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => void process.stdout.write(`${line(level, values)}\n`);
  }
}

writeConsole();
carryAnswers();
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
    const event = JSON.parse(next.body);
    noteAnswers(event);
    const result = await run(handler, event, next.headers);
    body = result === undefined ? "null" : JSON.stringify(result) ?? "null";
  } catch (error) {
    await report(`/invocation/${requestId}/error`, error);
    continue;
  }
  await call("POST", `/invocation/${requestId}/response`, body, { "Content-Type": "application/json" });
}
