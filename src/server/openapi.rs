//! The OpenAPI document of the REST interface, made of the table of routes.
//!
//! <https://spec.openapis.org/oas/v3.1.0>

use serde_json::{Map, Value, json};

use super::routes::{Ask, Field, ROUTES, Route};
use crate::model::program;
use crate::report::site::{Form, WANTED, WANTED_RUNS};

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.form == Form::Json) {
        let method = if matches!(route.ask, Ask::Change(..)) { "post" } else { "get" };
        paths.insert(route.path.to_owned(), json!({ (method): operation(route) }));
    }
    let health = json!({ "summary": "Whether the server answers; needs no token", "operationId": "healthz", "security": [],
        "responses": { "200": { "description": "It does", "content": { "text/plain": { "schema": { "type": "string" } } } },
            "default": { "$ref": "#/components/responses/Problem" } } });
    paths.insert("/healthz".to_owned(), json!({ "get": health }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": program::name(), "version": program::version(),
            "description": "The fleet, its runs and its migrations. Reading needs the token only where the server was started \
                with one; a change always does. Fields may be added to any answer; `schema_version` changes when one is taken away.",
        },
        "paths": paths,
        "security": [{}, { "bearer": [] }, { "basic": [] }],
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "For browsers: any name, the token as password; reads only" },
            },
            "schemas": {
                "Document": { "type": "object", "properties": { "schema_version": { "type": "integer" } }, "required": ["schema_version"] },
                "Problem": { "type": "object", "properties": { "error": { "type": "string" } }, "required": ["error"] },
            },
            "responses": {
                "Problem": { "description": "Why there is no answer", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(name) = route.path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name) {
        parameters.push(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
        );
    }
    let of_query: &[(&str, &str, &str)] = match route.ask {
        Ask::Tenants(_) => WANTED,
        Ask::Runs => WANTED_RUNS,
        Ask::Events => {
            &[("since_ms", "integer", "Only events from this time on, in milliseconds since 1970-01-01 UTC")]
        }
        _ => &[],
    };
    parameters.extend(of_query.iter().map(|(name, kind, about)| {
        let schema = if *kind == "integer" {
            json!({ "type": kind, "minimum": 0, "maximum": 1_000_000_000_000_000_i64 })
        } else {
            json!({ "type": kind })
        };
        json!({ "name": name, "in": "query", "description": about, "schema": schema })
    }));
    let content = match route.ask {
        _ if route.path == "/metrics" => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Ask::Events => json!({ "text/event-stream": {} }),
        _ => json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Document" } } }),
    };
    let status = if matches!(route.ask, Ask::Change(..)) { "202" } else { "200" };
    let mut responses = json!({
        (status): { "description": "The answer", "content": content },
        "default": { "$ref": "#/components/responses/Problem" },
    });
    if matches!(route.ask, Ask::Events) {
        responses["204"] = json!({ "description": "The run has ended, and all its events were sent" });
    }
    let id: String = route.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut operation = json!({
        "summary": route.about, "operationId": id.trim_matches('_'), "parameters": parameters, "responses": responses,
    });
    if let Ask::Change(_, _, fields) = route.ask {
        operation["security"] = json!([{ "bearer": [] }]);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(fields) } } });
    }
    operation
}

fn body(fields: &[Field]) -> Value {
    let schema = |field: &Field| {
        let text = json!({ "type": "string" });
        let mut schema = if field.is_list { json!({ "type": "array", "items": text }) } else { text };
        schema["description"] = field.about.into();
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(schema).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
