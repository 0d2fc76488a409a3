//! What the service shows but gives no content of: a visible note each, and a count.

use super::context::Warning;
use super::writer::Writer;
use crate::export::docx::block::Kind;

impl Writer<'_> {
    /// A note for a block without content.
    pub(super) fn no_content(&mut self, kind: &Kind) {
        let (what, words) = match kind {
            Kind::ChatCard { chat_id } => ("group chat card", named("group chat", chat_id)),
            Kind::Diagram { diagram_type: 2 } => ("UML diagram", "UML diagram".to_owned()),
            Kind::Diagram { diagram_type: 1 } => ("flowchart", "flowchart".to_owned()),
            Kind::Diagram { .. } => ("diagram", "diagram".to_owned()),
            Kind::Isv { component_type } => ("component", named("component", component_type)),
            Kind::AddOns { component_type, .. } => ("add-on", named("add-on", component_type)),
            Kind::Task { id } => ("task", named("task", id)),
            Kind::Jira { key } => ("Jira issue", named("Jira issue", key)),
            Kind::Mindnote { token } => ("mind map", named("mind map", token)),
            Kind::LinkPreview { url_type, .. } if url_type == "MessageLink" => {
                ("link preview", "preview of a message".to_owned())
            }
            Kind::LinkPreview { .. } => ("link preview", "link preview".to_owned()),
            Kind::Iframe { .. } => ("embedded page", "embedded page".to_owned()),
            Kind::AiTemplate => ("AI template", "AI template".to_owned()),
            Kind::Unknown { block_type } => {
                self.warn(Warning::UnknownBlock(*block_type));
                self.note_line(&format!("block of unknown type {block_type}"));
                return;
            }
            _ => ("unsupported block", "a block that the API does not support".to_owned()),
        };
        self.warn(Warning::NoContent(what));
        self.note_line(&words);
    }
}

fn named(what: &str, name: &str) -> String {
    if name.trim().is_empty() { what.to_owned() } else { format!("{what} {name}") }
}
