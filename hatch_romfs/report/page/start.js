import { showDiff } from "./diff.js";
import { showMap } from "./map.js";

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
if (data.page === "map") showMap(data, page);
else showDiff(data, page);
