//! The page that the browser shows when it comes back: whether the login worked. Chinese
//! and English, all in one file, without scripts. Pure.

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Somebody is logged in.
    Done {
        /// The person's name.
        name: String,
    },
    /// The person said no.
    Denied,
    /// It did not work; words for people, without secrets.
    Failed(String),
    /// The answer does not belong to the login that is under way.
    WrongState,
    /// The address is there, but what came is no answer.
    Incomplete,
    /// The program stopped before it knew.
    Stopped,
    /// There is nothing at this address.
    NotFound,
}

impl Page {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Done { .. } | Self::Denied => 200,
            Self::WrongState | Self::Incomplete | Self::Failed(_) => 400,
            Self::NotFound => 404,
            Self::Stopped => 503,
        }
    }

    /// The page. Whatever is not ours is escaped.
    pub fn html(&self) -> String {
        let (mark, zh, en) = match self {
            Self::Done { .. } => ("✓", "登录成功", "You are logged in"),
            Self::Denied => ("✕", "你拒绝了授权", "You said no"),
            Self::Failed(_) => ("✕", "登录失败", "The login failed"),
            Self::WrongState => ("✕", "链接不匹配", "Not the login under way"),
            Self::Incomplete => ("✕", "缺少授权码", "No code came along"),
            Self::Stopped => ("✕", "程序已停止", "The program has stopped"),
            Self::NotFound => ("✕", "页面不存在", "Nothing here"),
        };
        let (zh_more, en_more) = self.details();
        let color = if matches!(self, Self::Done { .. }) { "#2ea121" } else { "#d83931" };
        format!(
            "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{zh} · feishu-mirror</title>\n<style>\n\
             body{{font:16px/1.6 system-ui,\"PingFang SC\",\"Microsoft YaHei\",sans-serif;margin:0;\
             min-height:100vh;display:grid;place-items:center;background:#f5f6f7;color:#1f2329}}\n\
             main{{background:#fff;border-radius:12px;padding:2.5rem 3rem;max-width:34rem;\
             margin:1rem;box-shadow:0 4px 24px #1f232914}}\n\
             .mark{{font-size:2.5rem;line-height:1;color:{color}}}\n\
             h1{{font-size:1.4rem;margin:.6rem 0 0}}\nh2{{font-size:1.1rem;margin:1.6rem 0 0}}\n\
             p{{margin:.4rem 0 0;overflow-wrap:anywhere}}\nsmall{{color:#646a73}}\n\
             @media(prefers-color-scheme:dark){{body{{background:#1a1a1a;color:#ebebeb}}\
             main{{background:#292929}}}}\n\
             </style>\n</head>\n<body>\n<main id=\"{id}\">\n<div class=\"mark\">{mark}</div>\n\
             <h1>{zh}</h1>\n<p>{zh_more}</p>\n<div lang=\"en\">\n<h2>{en}</h2>\n<p>{en_more}</p>\n\
             </div>\n<p><small>feishu-mirror</small></p>\n</main>\n</body>\n</html>\n",
            id = self.id(),
        )
    }

    /// For whoever reads the page by program.
    fn id(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Denied => "denied",
            Self::Failed(_) => "failed",
            Self::WrongState => "wrong-state",
            Self::Incomplete => "incomplete",
            Self::Stopped => "stopped",
            Self::NotFound => "not-found",
        }
    }

    fn details(&self) -> (String, String) {
        let again = "请回到终端重新运行 <code>feishu-mirror auth login</code>。";
        let again_en =
            "Go back to the terminal and run <code>feishu-mirror auth login</code> again.";
        match self {
            Self::Done { name } => (
                format!("{} 已登录。现在可以关闭此页面，回到终端。", escape(name)),
                format!(
                    "Logged in as {}. You can close this page and go back to the terminal.",
                    escape(name)
                ),
            ),
            Self::Denied => (
                format!("没有保存任何内容。若要重试，{again}"),
                format!("Nothing was stored. {again_en}"),
            ),
            Self::Failed(why) => (
                format!("{again}<br><small>{}</small>", escape(why)),
                format!("{}<br>{again_en}", escape(why)),
            ),
            Self::WrongState => (
                "这个页面不是由正在等待的登录打开的（state 不一致）。请使用终端里最新的链接。"
                    .to_owned(),
                "This page does not belong to the login that is waiting (its state differs). Open \
                 the newest link from the terminal."
                    .to_owned(),
            ),
            Self::Incomplete => (
                "地址里没有授权码。请使用终端里的链接重新打开授权页。".to_owned(),
                "The address has no code in it. Open the link from the terminal again.".to_owned(),
            ),
            Self::Stopped => (again.to_owned(), again_en.to_owned()),
            Self::NotFound => (
                "这里只用于接收授权结果。".to_owned(),
                "This address only receives the result of a login.".to_owned(),
            ),
        }
    }
}

/// Text made safe inside HTML, also within attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_both_languages_and_cannot_be_written_to() {
        let page = Page::Done { name: "<script>alert(1)</script>王芳".to_owned() }.html();
        assert!(page.contains("登录成功") && page.contains("You are logged in"));
        assert!(page.contains("王芳") && !page.contains("<script"), "{page}");
        let page = Page::Failed("20071: \"x\" & 'y' <z>".to_owned()).html();
        assert!(page.contains("20071: &quot;x&quot; &amp; &#39;y&#39; &lt;z&gt;"), "{page}");
    }

    #[test]
    fn a_page_loads_nothing_from_elsewhere() {
        for page in
            [Page::Denied, Page::WrongState, Page::Incomplete, Page::Stopped, Page::NotFound]
        {
            let html = page.html();
            assert!(!html.contains("http") && !html.contains("src="), "{html}");
            assert!(html.contains(&format!("id=\"{}\"", page.id())), "{html}");
            assert!(page == Page::Denied || page.status() >= 400);
        }
    }
}
