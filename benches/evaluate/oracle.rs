//! The same rules and records for the `cel` crate's own interpreter, with all that can be made once made once.

use cel::{Context, Env, Program, Value};

use crate::shapes::Shape;
use crate::world::{NOW, World};

/// One rule, and a context for each record.
pub(crate) struct Oracle {
    program: Program,
    contexts: Vec<Context<'static, 'static>>,
}

impl Oracle {
    pub(crate) fn new(shape: &Shape, world: &World, records: &[String]) -> Self {
        let principal = &world.principal;
        let principal = value(&format!(
            "{{'id': {:?}, 'roles': {:?}, 'reports': {:?}}}",
            principal.id, principal.roles, principal.reports
        ));
        let members = world.tenant.dimensions().map(|(name, value)| format!("{name:?}: {value:?}"));
        let tenant = value(&format!("{{{}}}", members.collect::<Vec<_>>().join(", ")));
        let now = value(&format!("timestamp('{NOW}')"));
        let context = |record: &String| {
            let mut context = Context::default();
            let known = [("principal", &principal), ("tenant", &tenant), ("now", &now), ("record", &value(record))];
            known.into_iter().for_each(|(name, value)| context.add_variable_from_value(name, value.clone()));
            context
        };
        Self { program: program(shape.cel), contexts: records.iter().map(context).collect() }
    }

    /// `None`: an error, or no bool.
    pub(crate) fn holds(&self, record: usize) -> Option<bool> {
        match self.program.execute(self.contexts.get(record)?) {
            Ok(Value::Bool(truth)) => Some(truth),
            _ => None,
        }
    }
}

fn program(text: &str) -> Program {
    Env::stdlib().compile(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// JSON is CEL.
fn value(text: &str) -> Value {
    program(text).execute(&Context::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}
