// Runs models in TensorFlow.js: `node tfjs_run.js CASES.json`, with tfjs where NODE_PATH says.
// Of each case: its folder, inputs by name as nested lists with dtypes, and what came out.
const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs");

function fromFolder(folder) {
  const model = JSON.parse(fs.readFileSync(path.join(folder, "model.json")));
  const [group] = model.weightsManifest;
  const parts = group.paths.map((name) => fs.readFileSync(path.join(folder, name)));
  const data = Buffer.concat(parts);
  return {
    load: async () => ({
      ...model,
      weightSpecs: group.weights,
      weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length),
    }),
  };
}

async function load(folder) {
  const { format } = JSON.parse(fs.readFileSync(path.join(folder, "model.json")));
  if (format === "graph-model") {
    const model = await tf.loadGraphModel(fromFolder(folder));
    const names = Object.keys(model.artifacts.signature.outputs);
    return async (inputs) => [names, await model.executeAsync(inputs, names)];
  }
  const model = await tf.loadLayersModel(fromFolder(folder));
  return async (inputs) => {
    const given = Object.values(inputs);
    const found = model.predict(
      given.length === 1 ? given : model.inputNames.map((name) => inputs[name]),
    );
    return [model.outputNames, found];
  };
}

function tensors(inputs) {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape, dtype }]) => [
      name,
      tf.tensor(values, shape, dtype),
    ]),
  );
}

async function main() {
  await tf.setBackend("cpu");
  const results = [];
  for (const { folder, calls } of JSON.parse(fs.readFileSync(process.argv[2]))) {
    const outputs = [];
    const times = [];
    let error = null;
    try {
      const run = await load(folder);
      for (const given of calls) {
        const [names, found] = await run(tensors(given));
        const all = Array.isArray(found) ? found : [found];
        outputs.push(
          Object.fromEntries(
            names.map((name, i) => [
              name,
              { values: Array.from(all[i].dataSync()), shape: all[i].shape },
            ]),
          ),
        );
      }
      for (let i = 0; i < Number(process.argv[4]); i++) {
        const one = tensors(calls[0]);
        const start = process.hrtime.bigint();
        const [, found] = await run(one);
        (Array.isArray(found) ? found : [found]).forEach((t) => t.dataSync());
        times.push(Number(process.hrtime.bigint() - start) / 1000);
      }
    } catch (e) {
      error = String((e && e.stack) || e);
    }
    times.sort((a, b) => a - b);
    results.push({ outputs, error, micro: times[Math.floor(times.length / 2)] ?? null });
  }
  fs.writeFileSync(process.argv[3], JSON.stringify(results));
}

main();
