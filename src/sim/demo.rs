//! The tenant that `demo` shows, and what happens in it between two runs.

use std::time::Duration;

use super::tenant::Tenant;
use crate::clock::Clock;

/// A small company's tenant, as `fixtures/tenants/demo.json` describes it. Its exports
/// take a fifth of a second, so that a demonstration is over soon.
pub fn demo_tenant(clock: Clock) -> Tenant {
    let json = include_str!("../../fixtures/tenants/demo.json");
    let tenant = Tenant::from_fixture(json, clock).expect("the bundled fixture is a tenant");
    tenant.exports_take(Some(Duration::from_millis(200)));
    tenant
}

/// A day's work in the demo tenant; returns what was done, a sentence each.
///
/// Does nothing where the tenant is another one.
pub fn demo_edits(tenant: &Tenant) -> Vec<String> {
    let mut done = Vec::new();
    let find = |path: &[&str]| {
        let mut at = tenant.root();
        for title in path {
            at = at.children().into_iter().find(|item| item.title() == *title)?;
        }
        Some(at)
    };
    if let Some(doc) = find(&["产品部 Product", "2026 产品路线图 Roadmap"]) {
        doc.edit("Q1：离线镜像发布\nQ2：Markdown 导出\nQ3: recordings\nQ4: everything else");
        done.push(format!("edited the document “{}”", doc.title()));
    }
    if let Some(folder) = find(&["市场部 Marketing"]) {
        let old = folder.title();
        folder.rename("市场与品牌 Marketing & Brand");
        done.push(format!("renamed the folder “{old}” to “{}”", folder.title()));
    }
    if let (Some(file), Some(target)) =
        (find(&["产品部 Product", "竞品分析.pdf"]), find(&["归档 Archive"]))
    {
        file.move_to(&target);
        done.push(format!("moved the file “{}” to “{}”", file.title(), target.title()));
    }
    if let Some(old) = find(&["归档 Archive", "2023 年会节目单"]) {
        old.delete();
        done.push(format!("deleted the document “{}”", old.title()));
    }
    if let Some(folder) = find(&["人力资源 HR"]) {
        let new = folder.docx("新员工欢迎信 Welcome letter").text("欢迎加入！\nWelcome aboard!");
        done.push(format!("added the document “{}” to “{}”", new.title(), folder.title()));
    }
    done
}
