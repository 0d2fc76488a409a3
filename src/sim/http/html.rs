//! The pages that people see: small, without scripts, made to be driven by a browser in
//! tests (ids `user-<n>`, `allow`, `deny`, `user-code`).

use std::fmt::Write;

use super::super::state::{State, UserId, index};
use super::Req;

const STYLE: &str = "
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f2f3f5;color:#1f2329;
 font:15px/1.6 -apple-system,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif}
main{box-sizing:border-box;width:min(420px,92vw);padding:32px;background:#fff;border-radius:12px;
 box-shadow:0 4px 24px #1f232914}
h1{margin:0 0 8px;font-size:20px}
p{margin:0 0 16px;color:#646a73}
ul{margin:0 0 16px;padding:12px 12px 12px 32px;max-height:200px;overflow:auto;background:#f8f9fa;
 border-radius:8px;font-size:13px}
label{display:block;padding:10px 12px;margin-bottom:8px;border:1px solid #dee0e3;border-radius:8px}
input[type=text]{box-sizing:border-box;width:100%;padding:10px 12px;margin-bottom:16px;
 border:1px solid #dee0e3;border-radius:8px;font:inherit}
footer{display:flex;gap:12px;margin-top:20px}
button{flex:1;padding:10px;border:1px solid #dee0e3;border-radius:8px;background:#fff;color:inherit;
 font:inherit;cursor:pointer}
button.yes{border-color:#3370ff;background:#3370ff;color:#fff}
small{display:block;margin-top:20px;color:#8f959e}
";

/// What a page asks.
pub struct Ask<'a> {
    /// In large letters.
    pub title: &'a str,
    /// Below it.
    pub about: &'a str,
    /// What the app wants.
    pub scopes: &'a [String],
    /// Where the form goes.
    pub action: &'a str,
    /// Fields that travel with it.
    pub hidden: &'a [(String, String)],
}

/// A page with a form: who, and yes or no.
pub fn consent(state: &State, ask: &Ask<'_>) -> String {
    let mut body = format!("<p>{}</p>", escape(ask.about));
    if !ask.scopes.is_empty() {
        body.push_str("<ul>");
        for scope in ask.scopes {
            let _ = write!(body, "<li>{}</li>", escape(scope));
        }
        body.push_str("</ul>");
    }
    let _ = write!(body, "<form method=\"post\" action=\"{}\">", escape(ask.action));
    for (name, value) in ask.hidden {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(body, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    }
    for (n, user) in state.users.iter().enumerate() {
        let checked = if n == 0 { " checked" } else { "" };
        let (id, name) = (escape(&user.open_id), escape(&user.name));
        let _ = write!(
            body,
            "<label><input type=\"radio\" id=\"user-{n}\" name=\"user\" value=\"{id}\"{checked}> \
             {name}</label>"
        );
    }
    body.push_str(
        "<footer><button id=\"deny\" name=\"decision\" value=\"deny\">拒绝 Deny</button>\
         <button id=\"allow\" class=\"yes\" name=\"decision\" value=\"allow\">允许 Allow</button>\
         </footer></form>",
    );
    page(ask.title, &body)
}

/// What the person chose in the form of [`consent`]: a user, or `None` for no.
///
/// # Errors
///
/// A page, for a form that is not ours.
pub fn decision(state: &State, request: &Req<'_>) -> Result<Option<UserId>, String> {
    match request.field("decision") {
        Some("deny") => Ok(None),
        Some("allow") => {
            let id = request.field("user").unwrap_or_default();
            let user = state.users.iter().position(|user| user.open_id == id);
            user.map(|user| Some(index(user))).ok_or_else(|| failed(20_008))
        }
        _ => Err(failed(20_063)),
    }
}

/// Asks for a user code; `wrong` is one that is not known.
pub fn code_form(wrong: Option<&str>) -> String {
    let mut body =
        String::from("<p>请输入命令行中显示的验证码。Enter the code that you were shown.</p>");
    if let Some(code) = wrong {
        let _ = write!(body, "<p><b>验证码 {} 无效。This code is not known.</b></p>", escape(code));
    }
    body.push_str(
        "<form method=\"get\"><input type=\"text\" id=\"user-code\" name=\"user_code\" \
         placeholder=\"ABCD-EFGH\" autocomplete=\"off\" autofocus><footer>\
         <button class=\"yes\">继续 Continue</button></footer></form>",
    );
    page("输入验证码", &body)
}

/// The end of the device flow's page.
pub fn done(agreed: bool) -> String {
    if agreed {
        message("授权成功", "Done. You may close this page and go back to the command line.")
    } else {
        message("已拒绝", "Denied. You may close this page.")
    }
}

/// A page with an error code.
pub fn failed(code: i64) -> String {
    let why = match code {
        20_027 => "应用未申请相关权限。A scope is not enabled on the app.",
        20_029 => "重定向 URL 有误。The redirect URL is not among those registered for the app.",
        _ => "请求有误。The request cannot be granted.",
    };
    message("授权失败", &format!("{why} 错误码 Error code: {code}"))
}

/// A page that only says something.
pub fn message(title: &str, text: &str) -> String {
    page(title, &format!("<p>{}</p>", escape(text)))
}

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}\
         <small>模拟租户 Simulated tenant</small></main></body></html>\n"
    )
}

/// Text as HTML, also within quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
