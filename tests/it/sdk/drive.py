"""Drives the official Python SDK against a tenant on loopback.

Usage: drive.py URL APP_ID APP_SECRET USER_TOKEN

Prints one JSON object with what the SDK understood; the Rust side compares it with
what the tenant holds.
"""

import json
import sys
import time

import lark_oapi as lark
from lark_oapi.api.authen.v1 import GetUserInfoRequest
from lark_oapi.api.docx.v1 import GetDocumentRequest, ListDocumentBlockRequest
from lark_oapi.api.drive.v1 import (
    BatchGetTmpDownloadUrlMediaRequest,
    BatchQueryMetaRequest,
    CreateExportTaskRequest,
    DownloadExportTaskRequest,
    DownloadFileRequest,
    DownloadMediaRequest,
    ExportTask,
    GetExportTaskRequest,
    ListFileRequest,
    MetaRequest,
    RequestDoc,
)
from lark_oapi.api.sheets.v3 import QuerySpreadsheetSheetRequest
from lark_oapi.api.bitable.v1 import ListAppTableRequest
from lark_oapi.api.wiki.v2 import (
    GetNodeSpaceRequest,
    ListSpaceNodeRequest,
    ListSpaceRequest,
)

url, app_id, app_secret, user_token = sys.argv[1:5]


def make_client(set_token):
    return (
        lark.Client.builder()
        .app_id(app_id)
        .app_secret(app_secret)
        .domain(url)
        .enable_set_token(set_token)
        .log_level(lark.LogLevel.ERROR)
        .build()
    )


client = make_client(False)


def good(response, what):
    if not response.success():
        sys.exit(f"{what}: code {response.code}, {response.msg}")
    return response


def list_folder(folder):
    """All entries, two a page."""
    entries, token, pages = [], None, 0
    while True:
        request = ListFileRequest.builder().folder_token(folder).page_size(2)
        if token:
            request.page_token(token)
        data = good(client.drive.v1.file.list(request.build()), "list files").data
        entries += data.files
        pages += 1
        if not data.has_more:
            return entries, pages
        token = data.next_page_token


def walk_wiki(space, parent=None, depth=0):
    nodes, token = [], None
    while True:
        request = ListSpaceNodeRequest.builder().space_id(space).page_size(2)
        if parent:
            request.parent_node_token(parent)
        if token:
            request.page_token(token)
        data = good(client.wiki.v2.space_node.list(request.build()), "list nodes").data
        for node in data.items:
            nodes.append([depth, node.title, node.obj_type, node.node_type])
            if node.has_child and node.node_type == "origin":
                nodes += walk_wiki(space, node.node_token, depth + 1)
        if not data.has_more:
            return nodes
        token = data.page_token


def export(token, kind, extension):
    task = ExportTask.builder().token(token).type(kind).file_extension(extension).build()
    request = CreateExportTaskRequest.builder().request_body(task).build()
    ticket = good(client.drive.v1.export_task.create(request), "create export").data.ticket
    for _ in range(200):
        request = GetExportTaskRequest.builder().ticket(ticket).token(token).build()
        result = good(client.drive.v1.export_task.get(request), "poll export").data.result
        if result.job_status == 0 and result.file_token:
            request = DownloadExportTaskRequest.builder().file_token(result.file_token).build()
            got = good(client.drive.v1.export_task.download(request), "download export")
            content = got.file.read()
            assert len(content) == result.file_size, "the size that the task promised"
            return {"name": got.file_name, "head": content[:4].hex(), "bytes": len(content)}
        assert result.job_status in (0, 1, 2), result.job_error_msg
        time.sleep(0.02)
    sys.exit("the export never became ready")


out = {}
root = list_folder("")[0]
out["root"] = sorted([e.name, e.type] for e in root)
plans = next(e for e in root if e.name == "Plans")
entries, out["pages"] = list_folder(plans.token)
by_name = {e.name: e for e in entries}
out["plans"] = sorted([e.name, e.type] for e in entries)
link = by_name["Link"]
out["shortcut"] = [link.shortcut_info.target_type, link.shortcut_info.target_token]
doc, sheet = by_name["Roadmap 路线图"], by_name["Budget"]
out["times"] = [int(doc.created_time), int(doc.modified_time)]

out["docx"] = export(doc.token, "docx", "docx")
out["xlsx"] = export(sheet.token, "sheet", "xlsx")

file = by_name["说明.json"]
got = good(
    client.drive.v1.file.download(DownloadFileRequest.builder().file_token(file.token).build()),
    "download file",
)
out["file"] = [got.file_name, got.file.read().decode()]

request = GetDocumentRequest.builder().document_id(doc.token).build()
document = good(client.docx.v1.document.get(request), "get document").data.document
out["revision"] = document.revision_id
request = ListDocumentBlockRequest.builder().document_id(doc.token).page_size(2)
blocks, token = [], None
while True:
    if token:
        request.page_token(token)
    data = good(client.docx.v1.document_block.list(request.build()), "list blocks").data
    blocks += data.items
    if not data.has_more:
        break
    token = data.page_token
out["texts"] = [b.text.elements[0].text_run.content for b in blocks if b.block_type == 2]
image = next(b.image.token for b in blocks if b.block_type == 27)
got = good(
    client.drive.v1.media.download(DownloadMediaRequest.builder().file_token(image).build()),
    "download media",
)
out["image"] = [got.file_name, got.file.read().decode()]
request = BatchGetTmpDownloadUrlMediaRequest.builder().file_tokens([image]).build()
urls = good(client.drive.v1.media.batch_get_tmp_download_url(request), "links").data
out["links"] = [u.file_token == image for u in urls.tmp_download_urls]

docs = [
    RequestDoc.builder().doc_token(doc.token).doc_type("docx").build(),
    RequestDoc.builder().doc_token("nothing").doc_type("docx").build(),
]
body = MetaRequest.builder().request_docs(docs).with_url(True).build()
request = BatchQueryMetaRequest.builder().request_body(body).build()
data = good(client.drive.v1.meta.batch_query(request), "metas").data
out["metas"] = [[m.title, m.doc_type] for m in data.metas]
out["failed"] = [f.code for f in data.failed_list]

request = QuerySpreadsheetSheetRequest.builder().spreadsheet_token(sheet.token).build()
sheets = good(client.sheets.v3.spreadsheet_sheet.query(request), "sheets").data.sheets
out["sheets"] = [s.title for s in sheets]
base = by_name["Feedback"]
request = ListAppTableRequest.builder().app_token(base.token).page_size(20).build()
tables = good(client.bitable.v1.app_table.list(request), "tables").data.items
out["tables"] = [t.name for t in tables]

request = ListSpaceRequest.builder().page_size(20).build()
spaces = good(client.wiki.v2.space.list(request), "list spaces").data.items
out["spaces"] = [s.name for s in spaces]
out["wiki"] = walk_wiki(spaces[0].space_id)
request = ListSpaceNodeRequest.builder().space_id(spaces[0].space_id).build()
first = good(client.wiki.v2.space_node.list(request), "list nodes").data.items[0]
request = GetNodeSpaceRequest.builder().token(first.node_token).build()
node = good(client.wiki.v2.space.get_node(request), "get node").data.node
out["node"] = [node.title, node.obj_token == first.obj_token]

option = lark.RequestOption.builder().user_access_token(user_token).build()
as_user = make_client(True)
me = as_user.authen.v1.user_info.get(GetUserInfoRequest.builder().build(), option)
out["user"] = good(me, "user info").data.name

missing = client.drive.v1.file.download(
    DownloadFileRequest.builder().file_token("nothing").build()
)
out["missing"] = missing.code

print(json.dumps(out, ensure_ascii=False))
