// Runs models in TensorFlow.js: in Node, `node tfjs_run.js CASES.json FOUND.json ROUNDS`, with tfjs
// where NODE_PATH says; or as a module of a page that has tfjs, which is served beside `cases.json`
// and says in its text what was found.
// Of each case: its folder, inputs by name as nested lists with dtypes, and what came out.
const inNode = typeof require !== "undefined";
const fs = inNode ? require("fs") : null;
const path = inNode ? require("path") : null;
const tf = inNode ? require("@tensorflow/tfjs") : globalThis.tf;

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

async function json(name) {
  return inNode ? JSON.parse(fs.readFileSync(name)) : (await fetch(name)).json();
}

async function load(folder) {
  const { format } = await json(`${folder}/model.json`);
  const source = inNode ? fromFolder(folder) : `${folder}/model.json`;
  if (format === "graph-model") {
    const model = await tf.loadGraphModel(source);
    const names = Object.keys(model.artifacts.signature.outputs);
    return async (inputs) => [names, await model.executeAsync(inputs, names)];
  }
  const model = await tf.loadLayersModel(source);
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

async function found(cases, rounds) {
  const results = [];
  for (const { folder, calls } of cases) {
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
      for (let i = 0; i < rounds; i++) {
        const one = tensors(calls[0]);
        const start = performance.now();
        const [, found] = await run(one);
        (Array.isArray(found) ? found : [found]).forEach((t) => t.dataSync());
        times.push(1000 * (performance.now() - start));
      }
    } catch (e) {
      error = String((e && e.stack) || e);
    }
    times.sort((a, b) => a - b);
    results.push({ outputs, error, micro: times[Math.floor(times.length / 2)] ?? null });
  }
  return results;
}

async function main() {
  if (inNode) {
    await tf.setBackend("cpu");
    const [, , cases, target, rounds] = process.argv;
    fs.writeFileSync(target, JSON.stringify(await found(await json(cases), Number(rounds))));
  } else {
    document.body.textContent = JSON.stringify(await found(await json("cases.json"), 0));
    document.body.dataset.ready = tf.getBackend();
  }
}

main();
