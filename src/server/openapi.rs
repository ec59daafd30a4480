//! The OpenAPI document of the REST interface, made of the table of routes.
//!
//! <https://spec.openapis.org/oas/v3.1.0>

use serde_json::{Map, Value, json};

use super::routes::{Ask, Field, Kind, LARGEST, ROUTES, Route};
use crate::model::program;
use crate::policy::RefreshGroup;
use crate::report::site::{Form, values};

/// A text without the character that no command line and no ledger takes.
const TEXT: &str = "^[^\\u0000]*$";
/// The same of which more than blanks is left.
const WORDS: &str = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$";
/// A day, or a moment in UTC.
const TIME: &str =
    "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?$";

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
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1, "pattern": TEXT } }),
        );
    }
    parameters.extend(route.ask.parameters().iter().map(|(name, kind, about)| {
        let schema = match values(name).filter(|_| matches!(route.ask, Ask::Tenants(_))) {
            Some(values) => json!({ "type": kind, "enum": ([&[""], &values[..]].concat()) }),
            None if *kind == "integer" => json!({ "type": kind, "minimum": 0, "maximum": LARGEST }),
            None => json!({ "type": kind, "pattern": TEXT }),
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
    let groups = RefreshGroup::ALL.map(RefreshGroup::name);
    let schema = |field: &Field| {
        let of_text = if field.is_required { json!("string") } else { json!(["string", "null"]) };
        let mut schema = match field.kind {
            Kind::Text => json!({ "type": of_text, "pattern": if field.is_required { WORDS } else { TEXT } }),
            Kind::Time => json!({ "type": of_text, "pattern": TIME }),
            Kind::Names => json!({ "type": "array", "items": { "type": "string", "pattern": TEXT } }),
            Kind::Groups => json!({ "type": "array", "items": { "enum": groups } }),
        };
        schema["description"] = field.about.into();
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(schema).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
