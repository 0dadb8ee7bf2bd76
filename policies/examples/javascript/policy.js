// One runner for each waiting job that no runner is there for, of the first class that its labels fit:
// spot, or on demand for a job that waited long.
//
// Names are those of wit/v0.1/policy.wit in camel case; a case of an enum is its name as a string,
// `option` is a value or null, and the error of a `result` is thrown.

const DEFAULTS = { on_demand_after: 600 };

// What editors and people see of the settings. A settings.json has an object for each decision.
const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {
    "scale-up": {
      type: "object",
      additionalProperties: false,
      properties: {
        on_demand_after: {
          description: "A job that has waited this many seconds gets on-demand capacity.",
          type: "integer",
          minimum: 0,
          maximum: 0xffff_ffff,
          default: DEFAULTS.on_demand_after,
        },
      },
    },
  },
};

export const about = {
  describe() {
    return {
      name: "javascript",
      version: "1.0.0",
      summary: "One runner for each waiting job, on demand where it waited long.",
      settingsSchema: JSON.stringify(SCHEMA),
    };
  },

  validateSettings(_decision, json) {
    const complaints = complaintsAbout(JSON.parse(json));
    if (complaints.length > 0) throw complaints;
    return { timeZones: [] };
  },
};

// A misspelt key is told and not ignored: whoever wrote it believes that it does something.
function complaintsAbout(settings) {
  return Object.entries(settings).flatMap(([key, value]) => {
    const at = `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (!Object.hasOwn(DEFAULTS, key)) {
      return { at, problem: `unknown field \`${key}\`, expected \`on_demand_after\`` };
    }
    const seconds = Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
    return seconds ? [] : { at, problem: `\`${key}\` is a whole number of seconds, 0 or more` };
  });
}

function read(json) {
  const settings = JSON.parse(json);
  const [wrong] = complaintsAbout(settings);
  // To refuse is better than to guess: the host falls back to what decided before.
  if (wrong) throw `settings${wrong.at}: ${wrong.problem}`;
  return { ...DEFAULTS, ...settings };
}

// What a runner does that can take a job.
const SUPPLY = new Set(["idle", "booting", "launching"]);

export const scaleUp = {
  decide(situation) {
    const { classes, repositories, headroom } = situation;
    const scopes = read(situation.settings);
    // A repository's settings are merged already, and hold for its jobs in place of the scope's.
    const settings = repositories.map((own) => own.settings === null ? scopes : read(own.settings));

    // By class: runners that can take a job, and those that may still be launched.
    const supply = classes.map(() => 0);
    for (const { phase, runnerClass } of situation.runners) {
      if (SUPPLY.has(phase)) supply[runnerClass] += 1;
    }
    const classLeft = classes.map((runnerClass) => runnerClass.left);
    const repositoryLeft = repositories.map((repository) => repository.left);
    let spendLeft = headroom.spendLeft ?? Infinity;
    let launched = 0;

    // Jobs that share an outcome share a launch or a deferral, and its reason.
    const launches = new Map();
    const deferrals = new Map();
    const wait = (job, reason, retryAfter = null) => {
      const deferral = deferrals.get(reason) ?? { jobs: [], retryAfter, reason };
      deferral.jobs.push(job);
      deferrals.set(reason, deferral);
    };

    for (const place of inOrder(situation.pending)) {
      const job = situation.pending[place];
      const { fits } = situation.labelSets[job.labels];
      const there = fits.find((fit) => supply[fit] > 0);
      const runnerClass = fits.find((fit) => classLeft[fit] > 0);
      if (there !== undefined) {
        supply[there] -= 1;
        wait(place, "a runner that is idle or on its way can take it");
      } else if (fits.length === 0) {
        wait(place, "no runner class has all of its labels");
      } else if (launched >= headroom.runnersLeft) {
        const maximum = headroom.runnersMaximum;
        wait(place, `the operator's maximum of ${maximum} runners for this scope is reached`);
      } else if (repositoryLeft[job.repository] === 0) {
        wait(place, `there is no room left for \`${repositories[job.repository].name}\``);
      } else if (launched >= headroom.launchesLeft) {
        const most = headroom.launchesLeft;
        wait(place, `one decision launches at most ${most} runners`, headroom.registrationsReset);
      } else if (launched >= headroom.registrationsLeft) {
        wait(place, "GitHub lets no more runners register now", headroom.registrationsReset);
      } else if (runnerClass === undefined) {
        wait(place, "every class that fits is at its maximum");
      } else {
        const { capacity, price } = choose(classes[runnerClass], job, settings[job.repository]);
        if (price > spendLeft) {
          wait(place, "the operator's spend limit is reached");
          continue;
        }
        launched += 1;
        classLeft[runnerClass] -= 1;
        repositoryLeft[job.repository] -= 1;
        spendLeft -= price;
        const kind = `${runnerClass} ${capacity}`;
        const launch = launches.get(kind) ?? { runnerClass, capacity, jobs: [] };
        launch.jobs.push(place);
        launches.set(kind, launch);
      }
    }

    return {
      launches: [...launches.values()].map((launch) => complete(launch, situation)),
      deferrals: [...deferrals.values()],
      notes: [],
      attributes: [],
    };
  },
};

// The longest waiting first. Those that waited as long go by what they ask for, so that how many get a
// runner does not depend on the order in which they happen to be shown.
function inOrder(pending) {
  const order = (a, b) => b.waited - a.waited || a.labels - b.labels || a.repository - b.repository;
  return [...pending.keys()].sort((a, b) => order(pending[a], pending[b]));
}

// A class offers spot, on demand, or both.
function choose({ spotPrice, onDemandPrice }, job, { on_demand_after }) {
  const onDemand = spotPrice === null || (onDemandPrice !== null && job.waited >= on_demand_after);
  return onDemand
    ? { capacity: "on-demand", price: onDemandPrice }
    : { capacity: "spot", price: spotPrice };
}

function complete({ runnerClass, capacity, jobs }, { classes, pending }) {
  // A launch is for a repository only if all of its jobs are that repository's.
  const [repository, ...others] = new Set(jobs.map((job) => pending[job].repository));
  return {
    runnerClass,
    capacity,
    count: jobs.length,
    launchedFor: others.length === 0 ? repository : null,
    jobs,
    reason: `no runner of \`${classes[runnerClass].name}\` is free for jobs that wait (${jobs.length})`,
  };
}
