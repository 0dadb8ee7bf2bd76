//! GitHub's published description of its API: which operation a request is, and what it says of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::parts::root;

/// The description. Its examples and webhooks are not read: they are most of it.
#[derive(Deserialize)]
pub(super) struct Description {
    paths: BTreeMap<String, BTreeMap<String, Value>>,
    components: Components,
}

#[derive(Deserialize)]
struct Components {
    schemas: BTreeMap<String, Value>,
    parameters: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
}

/// What the description says of one request.
pub(super) struct Operation<'a> {
    description: &'a Description,
    described: &'a Value,
    /// What the request has in the places of the path's parameters.
    pub(super) in_path: Vec<(&'a str, String)>,
}

/// The description that npm has installed.
pub(super) fn description() -> &'static Description {
    static READ: LazyLock<Description> = LazyLock::new(|| {
        let file = root("node_modules/@octokit/openapi/generated/api.github.com.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!(
                "{} can't be read ({error}): `make test` installs it by scripts/setup-edge --npm",
                file.display()
            )
        });
        serde_json::from_str(&text).unwrap()
    });
    &READ
}

impl Description {
    /// The operation that a request asks for.
    pub(super) fn operation(&self, method: &str, path: &str) -> Result<Operation<'_>, String> {
        let matching = self.paths.iter().filter_map(|(template, methods)| {
            let in_path = fill(template, path)?;
            Some((in_path, template, methods))
        });
        // Words go before parameters, as OpenAPI has it.
        let (in_path, template, methods) = matching
            .min_by_key(|(in_path, ..)| in_path.len())
            .ok_or_else(|| "GitHub has no such path".to_owned())?;
        let described = methods
            .get(&method.to_lowercase())
            .ok_or_else(|| format!("GitHub has no {method} of {template}"))?;
        Ok(Operation {
            description: self,
            described,
            in_path,
        })
    }

    /// A schema among the components.
    pub(super) fn schema(&self, name: &str) -> &Value {
        let schema = self.components.schemas.get(name);
        schema.unwrap_or_else(|| panic!("the description has no schema {name}"))
    }

    /// What a reference refers to; what is none is itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else {
            return value;
        };
        let mut steps = reference.rsplit('/');
        let (name, kind) = (steps.next().unwrap(), steps.next().unwrap());
        let components = match kind {
            "parameters" => &self.components.parameters,
            "responses" => &self.components.responses,
            _ => panic!("a reference to {kind}: {reference}"),
        };
        &components[name]
    }
}

impl<'a> Operation<'a> {
    /// GitHub's name of it, such as `actions/list-self-hosted-runners-for-org`.
    pub(super) fn id(&self) -> &'a str {
        self.described["operationId"].as_str().unwrap()
    }

    /// Its parameters in that place (`path`, `query`): name, schema, and whether it must be given.
    pub(super) fn parameters(&self, place: &str) -> Vec<(&'a str, &'a Value, bool)> {
        let all = self.described["parameters"].as_array();
        all.into_iter()
            .flatten()
            .map(|parameter| self.description.resolved(parameter))
            .filter(|parameter| parameter["in"] == place)
            .map(|parameter| {
                let required = parameter["required"] == true;
                let name = parameter["name"].as_str().unwrap();
                (name, &parameter["schema"], required)
            })
            .collect()
    }

    /// The bodies that a request may have, by media type, and whether it must have one.
    pub(super) fn request(&self) -> Option<(&'a Value, bool)> {
        let body = self.described.get("requestBody")?;
        Some((&body["content"], body["required"] == true))
    }

    /// The answer with that status: in `content` its bodies by media type, if it has one.
    pub(super) fn answer(&self, status: u16) -> Option<&'a Value> {
        let responses = &self.described["responses"];
        let response = responses.get(status.to_string())?;
        Some(self.description.resolved(response))
    }
}

/// What a path has in the places of a template's parameters; none, if it is not one of the template's.
fn fill<'a>(template: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    if template.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut filled = Vec::new();
    for (wanted, given) in template.split('/').zip(path.split('/')) {
        let parameter = wanted
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match parameter {
            Some(name) => {
                let value = percent_decode_str(given).decode_utf8().ok()?;
                filled.push((name, value.into_owned()));
            }
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(filled)
}
