// Synthesizes the examples in aws-cdk-lib's documentation: `node synthesize.js FOLDER` makes a cloud assembly of each example
// of the modules below that is a whole application. Many are not: they leave a variable or a file to the reader.
'use strict';

const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const cdk = require('aws-cdk-lib');
const ts = require('typescript');

const MODULES = ['', 'aws_batch', 'aws_cloudformation', 'aws_dynamodb', 'aws_ec2', 'aws_ecr', 'aws_iam', 'aws_lambda', 'aws_logs',
  'aws_s3', 'aws_s3_notifications', 'aws_ssm', 'custom_resources'].map((name) => (name ? `aws-cdk-lib.${name}` : 'aws-cdk-lib'));
// Folders with code that examples name.
const HANDLERS = ['lambda-handler', 'my-python-handler'];

/** The examples as the package ships them: compilable TypeScript, each with the fixture that its module gives it. */
function examples() {
  const library = path.dirname(require.resolve('aws-cdk-lib/package.json'));
  const { snippets } = JSON.parse(zlib.gunzipSync(fs.readFileSync(path.join(library, '.jsii.tabl.json.gz'))));
  return Object.values(snippets)
    .filter(({ didCompile, location: { api } }) => didCompile && api.api === 'moduleReadme' && MODULES.includes(api.moduleFqn))
    .map(({ fullSource, location: { api, field } }) => ({
      name: `${api.moduleFqn.split('.')[1] ?? 'core'}-${field.line}`,
      source: fullSource,
    }));
}

/** Runs an example and writes its assembly; throws where it is no whole application. */
function synthesize({ name, source }, folder) {
  const apps = [];
  class App extends cdk.App {
    constructor(props) {
      super({ ...props, outdir: path.join(folder, name), analyticsReporting: false });
      apps.push(this);
    }
  }
  const library = new Proxy(cdk, { get: (target, key) => (key === 'App' ? App : target[key]) });
  const load = (id) => (id === 'aws-cdk-lib' || id === 'aws-cdk-lib/core' ? library : require(id));
  const fixture = /class Fixture extends/.test(source) ? 'exports.Fixture = Fixture;' : '';
  const { outputText } = ts.transpileModule(`${source}\n${fixture}`, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const exports = {};
  new Function('require', 'exports', 'module', '__dirname', outputText)(load, exports, { exports }, __dirname);
  if (exports.Fixture) new exports.Fixture(apps[0] ?? new App(), 'Fixture');
  if (apps.length === 0) throw new Error('it makes no application');
  apps[0].synth();
}

const folder = process.argv[2];
fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });
for (const handler of HANDLERS) {
  fs.mkdirSync(handler, { recursive: true });
  fs.writeFileSync(path.join(handler, 'index.js'), 'exports.handler = async () => ({});\n');
}
for (const example of examples()) {
  try {
    synthesize(example, folder);
  } catch {
    fs.rmSync(path.join(folder, example.name), { recursive: true, force: true });
  }
}
