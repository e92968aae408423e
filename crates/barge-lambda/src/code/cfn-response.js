// Answers CloudFormation for a custom resource, as a function whose code is in a template may ask of this module (CloudFormation
// User Guide, "cfn-response module").

const http = require("http");
const https = require("https");

exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";

exports.send = (event, context, responseStatus, responseData, physicalResourceId, noEcho) => {
  const body = JSON.stringify({
    Status: responseStatus,
    Reason: `See the details in CloudWatch Log Stream: ${context.logStreamName}`,
    PhysicalResourceId: physicalResourceId || context.logStreamName,
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
    NoEcho: noEcho || false,
    Data: responseData,
  });
  const { request } = event.ResponseURL.startsWith("https:") ? https : http;
  const headers = { "Content-Type": "", "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve) => {
    const end = (...words) => {
      console.log(...words);
      context.done?.();
      resolve();
    };
    const sending = request(event.ResponseURL, { method: "PUT", headers }, (response) => {
      response.resume();
      end("Status code:", response.statusCode);
    });
    sending.on("error", (error) => end("The answer could not be sent:", error.message));
    sending.end(body);
  });
};
